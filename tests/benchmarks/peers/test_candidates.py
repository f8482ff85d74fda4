import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snooze.benchmarks.errors import StartFailed, WrongAnswer
from snooze.benchmarks.peers.candidates import KNOWN, Candidate, Golden, Servers, describe_installation, snooze
from snooze.bundle.errors import BundleError, InvalidData, InvalidOption
from snooze.client import v2
from snooze.client.exchange import Answer

PEERS = {"kserve": "/kserve/python", "mlserver": "/mlserver/python"}


@pytest.fixture
def golden(bundle: Path) -> Golden:
    return Golden.of(bundle)


def outputs(golden: Golden) -> dict[str, Any]:
    return {name: array.tolist() for name, array in golden.sample.outputs.items()}


def candidate(name: str, golden: Golden) -> Candidate:
    return Servers.of(name, peers=PEERS).candidates(golden)[0]


def answer(body: bytes) -> Answer:
    return Answer("url", 200, {}, body)


def test_every_server_is_asked_for_the_same_row(golden: Golden) -> None:
    row = json.loads(json.dumps(golden.sample.inputs["features"].tolist()))
    candidates = Servers.of(",".join(KNOWN), peers=PEERS).candidates(golden)
    bodies = {one.name: json.loads(one.payload.body) for one in candidates}

    assert bodies["snooze"]["inputs"][0]["data"] == pytest.approx(row[0])
    assert bodies["bare uvicorn"] == bodies["kserve"] == bodies["mlserver"] == bodies["snooze"]
    assert bodies["fastapi"] == bodies["fastapi tuned"]
    assert bodies["fastapi"]["rows"][0] == pytest.approx(row[0])


def test_binary_tensors_are_for_those_who_take_them(golden: Golden) -> None:
    candidates = Servers.of(",".join(KNOWN), peers=PEERS).candidates(golden, binary=True)

    assert [one.name for one in candidates] == ["bare uvicorn", "snooze", "snooze serve", "kserve"]
    assert {one.payload.body for one in candidates} == {snooze(golden, binary=True).payload.body}
    assert golden.sample.inputs["features"].tobytes() in candidates[0].payload.body


def test_servers_are_started_with_the_interpreter_of_their_environment(golden: Golden) -> None:
    candidates = Servers.of("snooze,kserve", "/our/python", PEERS).candidates(golden)

    assert [one.command[0] for one in candidates] == ["/our/python", "/kserve/python"]
    assert candidates[1].environment["NAME"] == "tumour"


@pytest.mark.parametrize("name", ["snooze", "kserve", "mlserver", "fastapi", "fastapi-tuned"])
def test_the_golden_answer_is_right_in_each_form(golden: Golden, name: str) -> None:
    document: Any = outputs(golden)
    if not name.startswith("fastapi"):
        document = json.loads(v2.encode(golden.sample.outputs, golden.bundle.outputs, "").body)
        document = {"outputs": document["inputs"]}

    candidate(name, golden).check(golden, answer(json.dumps(document).encode()))


def test_rows_are_repeated_where_there_are_too_few(bundle: Path) -> None:
    few, many = Golden.of(bundle, 3).sample, Golden.of(bundle, 20).sample

    assert few.inputs["features"].shape == (3, 4)
    assert (many.outputs["label"].shape, many.outputs["probabilities"].shape) == ((20,), (20, 3))
    np.testing.assert_array_equal(many.inputs["features"][8:11], few.inputs["features"])
    np.testing.assert_array_equal(many.outputs["probabilities"][16:19], few.outputs["probabilities"])


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
        candidate("fastapi", golden).check(golden, answer(json.dumps(outputs(golden) | change).encode()))

    assert caught.value.problem.startswith(problem)


@pytest.mark.parametrize("body", [b"", b"[]", b"3", b'{"outputs": 1}'])
def test_an_answer_of_another_form_is_refused(golden: Golden, body: bytes) -> None:
    with pytest.raises(WrongAnswer) as caught:
        candidate("snooze", golden).check(golden, answer(body))

    assert caught.value.problem == f"the answer is {body!r}"


def test_a_missing_output_is_refused(golden: Golden) -> None:
    with pytest.raises(WrongAnswer, match="there is no output 'label'"):
        golden.check("fastapi", {})


def test_a_server_that_predicts_nothing_cannot_be_wrong(golden: Golden) -> None:
    candidate("bare", golden).check(golden, answer(b"anything"))


@pytest.mark.parametrize(
    ("names", "peers", "option"),
    [
        ("snooze,flask", {}, "--servers"),
        ("snooze", {"flask": "python"}, "--servers"),
        ("snooze,kserve", {"mlserver": "python"}, "--peer-python"),
    ],
)
def test_an_unknown_server_is_refused(names: str, peers: dict[str, str], option: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        Servers.of(names, peers=peers)

    assert caught.value.option == option


def test_pictures_are_for_tuned_peers_only(picture_bundle: Path) -> None:
    golden = Golden.of(picture_bundle)

    with pytest.raises(InvalidData) as caught:
        candidate("fastapi", golden)

    assert caught.value.what == str(picture_bundle)
    assert json.loads(candidate("fastapi-tuned", golden).payload.body) == {
        "rows": golden.sample.inputs["picture"].tolist()
    }


def test_a_model_without_rows_takes_one(fixed_bundle: Path) -> None:
    assert Golden.of(fixed_bundle).sample.inputs["picture"].shape == (1, 2, 2, 1)
    with pytest.raises(InvalidOption) as caught:
        Golden.of(fixed_bundle, 2)

    assert caught.value.option == "--rows"


def test_a_folder_without_a_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError):
        Golden.of(tmp_path)


@pytest.mark.process
def test_says_whether_snooze_is_an_installed_package() -> None:
    assert describe_installation(sys.executable).startswith("snooze is an ")
    with pytest.raises(StartFailed):
        describe_installation("/bin/false")


@pytest.mark.process
def test_a_peers_environment_has_to_have_it() -> None:
    with pytest.raises(StartFailed) as caught:
        Servers.of("kserve", peers={"kserve": sys.executable}).describe()

    assert caught.value.server == "kserve"
