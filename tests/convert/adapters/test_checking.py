from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snooze.bundle.adapters.text import Declaration, TextAdapter
from snooze.bundle.errors import InvalidData
from snooze.convert.adapters.checking import ITSELF, check_adapter
from snooze.convert.attempts import Conversion
from snooze.convert.attempts import convert as try_conversions
from snooze.convert.checks.cases import rows_case
from snooze.convert.checks.dataset import Dataset
from snooze.convert.errors import ParityRefused
from snooze.convert.frameworks.interface import NO_HINTS, Original
from snooze.convert.frameworks.registry import find

DECLARED = Declaration("text", "text")
TEXTS = ["a river in a town", "the town", "rivers and towns", "in the river"]


@pytest.fixture(scope="module")
def pipeline() -> Any:
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    return make_pipeline(CountVectorizer(), LogisticRegression()).fit(TEXTS, [0, 1, 1, 0])


@pytest.fixture(scope="module")
def converted(pipeline: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Original, Conversion]:
    framework = find("sklearn")
    original = framework.describe(pipeline, framework.signature(pipeline, None), NO_HINTS)
    data = Dataset((rows_case({"text": np.array(TEXTS, object)}),), raw=TEXTS)
    return original, try_conversions(original, data, tmp_path_factory.mktemp("work"))


ADAPTER = TextAdapter(DECLARED, (), Path())


class Shouting(TextAdapter):
    """Does with texts what the model was not trained for."""

    def apply(self, rows: Any) -> Any:
        return super().apply([row.replace("river", "sea") for row in rows])


def test_compares_with_the_preprocessing_of_the_original(converted: tuple[Original, Conversion], pipeline: Any) -> None:
    original, conversion = converted
    asked = []

    def answer(raw: Any) -> Any:
        asked.extend(raw)
        return original.run({"text": np.array(raw, object)})

    found = check_adapter(ADAPTER, replace(original, answer_raw=answer, raw_reference="the pipeline"), conversion)

    assert found is not None
    assert (found.reference, found.data.rows, found.data.flips, asked) == ("the pipeline", 4, 0, TEXTS)


def test_without_it_compares_with_the_model(converted: tuple[Original, Conversion]) -> None:
    original, conversion = converted

    found = check_adapter(ADAPTER, replace(original, answer_raw=None), conversion)

    assert found is not None
    assert (found.reference, found.data.rows) == (ITSELF, 4)


def test_an_adapter_that_does_something_else_is_refused(converted: tuple[Original, Conversion]) -> None:
    original, conversion = converted

    with pytest.raises(ParityRefused) as caught:
        check_adapter(Shouting(DECLARED, (), Path()), replace(original, answer_raw=None), conversion)

    assert caught.value.differences is not None
    assert caught.value.differences.outliers == 3


def test_raw_rows_that_the_original_refuses_are_invalid(converted: tuple[Original, Conversion]) -> None:
    original, conversion = converted

    def refuse(raw: Any) -> Any:
        raise TypeError("not these\nsecond line")

    with pytest.raises(InvalidData, match="does not accept them: not these"):
        check_adapter(ADAPTER, replace(original, answer_raw=refuse), conversion)


def test_without_raw_rows_nothing_is_compared(converted: tuple[Original, Conversion]) -> None:
    original, conversion = converted
    data = replace(conversion.expected.data, raw=None)

    assert (
        check_adapter(ADAPTER, original, replace(conversion, expected=replace(conversion.expected, data=data))) is None
    )
