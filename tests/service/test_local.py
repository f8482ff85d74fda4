from pathlib import Path

import numpy as np
import pytest
from tests.service.conftest import classifier, publish, regressor, two_inputs

from snooze.bundle.errors import InvalidData, InvalidOption, NoSuchModel
from snooze.bundle.rows.reading import Rows, parse
from snooze.service.errors import GoldenMismatch
from snooze.service.local import ask


def test_a_bundle_answers_as_a_server_does(tmp_path: Path) -> None:
    publish(tmp_path, "tumour", classifier(), labels=("malignant", "benign"))
    answer = ask(str(tmp_path), "tumour", "1", parse([",".join(["0.5"] * 30)]))

    assert (answer["model"], answer["version"]) == ("tumour", 1)
    (prediction,) = answer["predictions"]
    assert set(prediction) == {"label", "confidence", "probabilities"}


def test_rows_of_several_inputs_are_arrays(tmp_path: Path) -> None:
    folder = publish(tmp_path, "person", two_inputs())
    arrays = {"age": np.array([1]), "weight": np.array([2]), "note": np.array(["x"], object)}

    assert ask(str(folder), None, None, Rows(arrays))["predictions"] == [{"value": 3, "said": "x"}]


def test_a_repository_of_several_models_needs_a_name(tmp_path: Path) -> None:
    publish(tmp_path, "one", regressor()), publish(tmp_path, "two", regressor())

    with pytest.raises(NoSuchModel):
        ask(str(tmp_path), None, None, parse(["1,2,3"]))


def test_rows_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    publish(tmp_path, "sum", regressor())

    with pytest.raises(InvalidData):
        ask(str(tmp_path), None, None, parse(["1,2"]))


@pytest.mark.parametrize("version", ["\u00b2", "x", "1" * 5000])
def test_a_version_is_an_integer(tmp_path: Path, version: str) -> None:
    with pytest.raises(InvalidOption):
        ask(str(tmp_path), None, version, parse(["1,2,3"]))


def test_a_bundle_with_other_golden_outputs_does_not_answer(tmp_path: Path) -> None:
    publish(tmp_path, "sum", regressor(), golden_outputs={"value": np.array([[6], [16]], np.float32)})

    with pytest.raises(GoldenMismatch):
        ask(str(tmp_path), None, None, parse(["1,2,3"]))
