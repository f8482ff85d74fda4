from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.service.conftest import classifier, publish, publish_each_adapter, regressor, two_inputs

from snooze.bundle.errors import InvalidData, InvalidOption, InvalidRow, NoSuchModel
from snooze.bundle.rows.reading import Rows, parse
from snooze.service.errors import GoldenMismatch
from snooze.service.local import ask


def test_a_bundle_answers_as_a_server_does(tmp_path: Path) -> None:
    publish(tmp_path, "tumour", classifier(), labels=("malignant", "benign"))
    answer = ask(str(tmp_path), "tumour", "1", lambda: parse([",".join(["0.5"] * 30)]))

    assert (answer["model"], answer["version"]) == ("tumour", 1)
    (prediction,) = answer["predictions"]
    assert set(prediction) == {"label", "confidence", "probabilities"}


def test_rows_of_several_inputs_are_arrays(tmp_path: Path) -> None:
    folder = publish(tmp_path, "person", two_inputs())
    arrays = {"age": np.array([1]), "weight": np.array([2]), "note": np.array(["x"], object)}

    assert ask(str(folder), None, None, lambda: Rows(arrays))["predictions"] == [{"value": 3, "said": "x"}]


def test_a_repository_of_several_models_needs_a_name(tmp_path: Path) -> None:
    publish(tmp_path, "one", regressor()), publish(tmp_path, "two", regressor())

    with pytest.raises(NoSuchModel):
        ask(str(tmp_path), None, None, lambda: parse(["1,2,3"]))


def test_rows_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    publish(tmp_path, "sum", regressor())

    with pytest.raises(InvalidData):
        ask(str(tmp_path), None, None, lambda: parse(["1,2"]))


@pytest.mark.parametrize("version", ["\u00b2", "x", "1" * 5000])
def test_a_version_is_an_integer(tmp_path: Path, version: str) -> None:
    with pytest.raises(InvalidOption):
        ask(str(tmp_path), None, version, lambda: parse(["1,2,3"]))


def test_a_bundle_with_other_golden_outputs_does_not_answer(tmp_path: Path) -> None:
    publish(tmp_path, "sum", regressor(), golden_outputs={"value": np.array([[6], [16]], np.float32)})

    with pytest.raises(GoldenMismatch):
        ask(str(tmp_path), None, None, lambda: parse(["1,2,3"]))


@pytest.mark.parametrize(
    ("name", "requests", "found"),
    [
        ("clean", [(b'{"texts": ["A", "B"]}', {})], [{"y": "a"}, {"y": "b"}]),
        ("clean", [(b"A", {"Content-Type": "text/plain"}), (b'["B"]', {})], [{"y": "a"}, {"y": "b"}]),
        ("patient", [(b"1,2,good", {"Content-Type": "text/csv"})], [{"value": 3, "said": "good"}]),
    ],
)
def test_an_adapter_makes_the_inputs_of_raw_rows(tmp_path: Path, name: str, requests: Any, found: Any) -> None:
    publish_each_adapter(tmp_path)

    answer = ask(str(tmp_path), name, None, lambda: Rows({}), lambda kind: requests)

    assert answer == {"model": name, "version": 1, "predictions": found}


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    publish_each_adapter(tmp_path)

    with pytest.raises(InvalidRow):
        ask(str(tmp_path), "colours", None, lambda: Rows({}), lambda kind: [(b"x", {"Content-Type": "image/png"})])


def test_a_model_with_an_adapter_still_takes_its_own_inputs(tmp_path: Path) -> None:
    publish_each_adapter(tmp_path)
    pixels = np.full((1, 8, 8, 3), [0, 1, 0], np.float32)

    answer = ask(str(tmp_path), "colours", None, lambda: Rows({"pixels": pixels}), lambda kind: None)

    assert answer["predictions"][0]["label"] == "green"
