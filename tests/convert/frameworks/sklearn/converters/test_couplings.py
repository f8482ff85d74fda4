from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris
from sklearn.svm import SVC, NuSVC
from tests.convert.frameworks.sklearn.converters.conftest import with_awkward_scales
from tests.convert.frameworks.sklearn.converters.test_support_vectors import Convert

from snooze.convert.attempts import Conversion
from snooze.convert.frameworks.sklearn.framework import FRAMEWORK
from snooze.convert.quiet import quiet

pytestmark = pytest.mark.framework


def _convert(converter: Convert, model: Any, rows: Any, labels: Any) -> Conversion:
    with quiet():  # scikit-learn prefers CalibratedClassifierCV
        model.fit(rows[::2], labels[::2])
    _, conversion = converter(FRAMEWORK)(model, rows[1::2].astype(np.float32))
    return conversion


def _operators(conversion: Conversion) -> set[str]:
    return {node.op_type for node in conversion.graph.graph.node}


def test_in_single_precision_an_operator_couples(converter: Convert) -> None:
    rows, labels = load_iris(return_X_y=True)
    conversion = _convert(converter, SVC(probability=True, random_state=1), rows, labels)
    assert conversion.parity.attempt == "single precision"
    assert "SVMClassifier" in _operators(conversion)


@pytest.mark.parametrize("model", [SVC(probability=True, random_state=1), NuSVC(nu=0.1, probability=True)])
def test_in_double_precision_a_loop_stops_where_libsvm_does(converter: Convert, model: Any) -> None:
    rows, labels = load_digits(return_X_y=True)
    conversion = _convert(converter, model, with_awkward_scales(rows[:400]), labels[:400])
    assert conversion.parity.attempt == "double precision"
    assert conversion.parity.data.worst < 1e-9
    assert "Loop" in _operators(conversion)


def test_two_classes_in_double_precision(converter: Convert) -> None:
    rows, labels = load_iris(return_X_y=True)
    rows = with_awkward_scales(rows[50:])
    conversion = _convert(converter, SVC(gamma="auto", probability=True, random_state=1), rows, labels[50:])
    assert conversion.parity.attempt == "double precision"
    assert conversion.parity.data.worst < 1e-5
