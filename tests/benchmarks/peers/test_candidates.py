import json
import sys
from pathlib import Path
from typing import Any

import pytest

from snooze.benchmarks.errors import StartFailed, WrongAnswer
from snooze.benchmarks.peers.candidates import KNOWN, Golden, choose, describe_installation
from snooze.bundle.errors import BundleError, InvalidData, InvalidOption


@pytest.fixture
def golden(bundle: Path) -> Golden:
    return Golden.of(bundle)


def outputs(golden: Golden) -> dict[str, Any]:
    return {name: array.tolist() for name, array in golden.sample.outputs.items()}


def test_every_server_is_asked_for_the_same_row(golden: Golden) -> None:
    row = json.loads(json.dumps(golden.sample.inputs["features"].tolist()))
    bodies = {candidate.name: json.loads(candidate.payload.body) for candidate in choose(",".join(KNOWN), golden)}

    assert bodies["snooze"]["inputs"][0]["data"] == pytest.approx(row[0])
    assert bodies["bare uvicorn"] == bodies["snooze"]
    assert bodies["fastapi"] == bodies["fastapi tuned"]
    assert bodies["fastapi"]["rows"][0] == pytest.approx(row[0])


@pytest.mark.parametrize("name", ["snooze", "fastapi", "fastapi-tuned"])
def test_the_golden_answer_is_right_in_each_form(golden: Golden, name: str) -> None:
    answer: Any = outputs(golden)
    if name == "snooze":
        answer = {"outputs": [{"name": key, "data": value} for key, value in answer.items()]}

    choose(name, golden)[0].check(golden, json.dumps(answer).encode())


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"label": [9]}, "output 'label' is [9], expected "),
        ({"label": [0, 1]}, "output 'label' has 2 values, expected 1"),
        ({"probabilities": [[0.1, 0.1, 0.8]]}, "output 'probabilities' is ["),
    ],
)
def test_a_wrong_answer_is_refused(golden: Golden, change: dict[str, Any], problem: str) -> None:
    with pytest.raises(WrongAnswer) as caught:
        choose("fastapi", golden)[0].check(golden, json.dumps(outputs(golden) | change).encode())

    assert caught.value.problem.startswith(problem)


@pytest.mark.parametrize("body", [b"", b"[]", b"3", b'{"outputs": 1}'])
def test_an_answer_of_another_form_is_refused(golden: Golden, body: bytes) -> None:
    with pytest.raises(WrongAnswer) as caught:
        choose("snooze", golden)[0].check(golden, body)

    assert caught.value.problem == f"the answer is {body!r}"


def test_a_missing_output_is_refused(golden: Golden) -> None:
    with pytest.raises(WrongAnswer, match="there is no output 'label'"):
        golden.check("fastapi", {})


def test_a_server_that_predicts_nothing_cannot_be_wrong(golden: Golden) -> None:
    choose("bare", golden)[0].check(golden, b"anything")


def test_an_unknown_server_is_refused(golden: Golden) -> None:
    with pytest.raises(InvalidOption) as caught:
        choose("snooze,flask", golden)

    assert caught.value.option == "--servers"


def test_pictures_are_not_for_the_peers(picture_bundle: Path) -> None:
    golden = Golden.of(picture_bundle)

    with pytest.raises(InvalidData) as caught:
        choose("snooze,fastapi", golden)

    assert caught.value.what == str(picture_bundle)


def test_a_folder_without_a_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError):
        Golden.of(tmp_path)


@pytest.mark.process
def test_says_whether_snooze_is_an_installed_package() -> None:
    assert describe_installation(sys.executable).startswith("snooze is an ")
    with pytest.raises(StartFailed):
        describe_installation("/bin/false")
