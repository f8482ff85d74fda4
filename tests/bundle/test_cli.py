import argparse
import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest

from snooze.bundle.cli import inspect, inspect_arguments
from snooze.bundle.errors import NoSuchModel, NotABundle, WrongHash
from snooze.bundle.overview import overview
from snooze.bundle.store import read

Publish = Callable[..., Path]
Inspect = Callable[..., tuple[int, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Inspect:
    """Run `snooze inspect` in this process; return its exit code and what it printed."""

    def run(*arguments: object) -> tuple[int, str]:
        parser = argparse.ArgumentParser(prog="snooze inspect")
        inspect_arguments(parser)
        code = inspect(parser.parse_args(list(map(str, arguments))))
        captured = capsys.readouterr()
        assert captured.err == ""
        return code, captured.out

    return run


def flip(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])


def test_shows_one_bundle(publish: Publish, run: Inspect) -> None:
    folder = publish()

    code, text = run(folder)

    assert code == 0
    assert text == "\n".join(overview(folder, read(folder))) + "\n"


def test_shows_the_newest_version_of_a_model(publish: Publish, run: Inspect, tmp_path: Path) -> None:
    for task in ("regression", None):
        publish(task=task)

    _, newest = run(tmp_path / "models" / "tumour")
    _, first = run(tmp_path / "models" / "tumour", "--version", 1)

    assert newest.startswith("tumour, version 2\n")
    assert "\n  versions  1, 2\n" in newest
    assert "\n  task      unknown\n" in newest
    assert first.startswith("tumour, version 1\n")
    assert "\n  task      regression\n" in first


def test_shows_a_model_from_its_own_folder(
    publish: Publish, run: Inspect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = publish()
    publish()
    for here, first in ((folder, "tumour, version 1\n"), (folder.parent, "tumour, version 2\n")):
        monkeypatch.chdir(here)
        assert run(".")[1].startswith(first)
    monkeypatch.chdir(tmp_path / "models")
    assert run(".")[1].startswith("model ")


def test_says_what_was_verified(publish: Publish, run: Inspect) -> None:
    _, text = run(publish(), "--verify")

    assert text.splitlines()[-1] == (
        "verified: the hashes of model.onnx, report.html, samples.npz are right; "
        "samples.npz has 1 case matching the signature"
    )


def test_verifies_the_hashes(publish: Publish, run: Inspect) -> None:
    folder = publish()
    flip(folder / "report.html")

    assert run(folder)[0] == 0
    with pytest.raises(WrongHash, match=r"report\.html was changed after the bundle was written"):
        run(folder, "--verify")


def test_shows_a_repository_as_a_table(publish: Publish, run: Inspect, tmp_path: Path) -> None:
    for name in ("tumour", "digits", "tumour"):
        publish(name)

    code, text = run(tmp_path / "models")
    lines = text.splitlines()

    assert code == 0
    assert lines[0].split() == ["model", "version", "created", "source", "task", "served", "size", "verified"]
    assert [line.split()[:2] for line in lines[1:]] == [["digits", "1"], ["tumour", "1"], ["tumour", "2"]]
    assert all(line.endswith("B  not checked") for line in lines[1:])
    assert run(tmp_path / "models", "--verify")[1].count("B  yes\n") == 3
    assert len(run(tmp_path / "models", "--version", 2)[1].splitlines()) == 2


def test_shows_the_rest_of_a_repository_beside_a_damaged_bundle(publish: Publish, run: Inspect, tmp_path: Path) -> None:
    publish("digits")
    flip(publish("tumour") / "bundle.json")

    code, text = run(tmp_path / "models")

    assert code == 2
    assert [line.split()[-1] for line in text.splitlines()[1:3]] == ["checked", "damaged"]
    assert f"damaged: {tmp_path}/models/tumour/1/bundle.json: the file: is not valid JSON" in text.splitlines()[-1]


@pytest.mark.parametrize("options", [[], ["--verify"]])
def test_prints_the_contract_as_json(publish: Publish, run: Inspect, options: list[str]) -> None:
    folder = publish()

    document = json.loads(run(folder, "--json", *options)[1])

    assert document.pop("folder") == str(folder)
    assert document.pop("verified") is (True if options else None)
    assert document == json.loads((folder / "bundle.json").read_text())
    jsonschema.validate(document, json.loads(files("snooze.bundle").joinpath("schema.json").read_text()))


def test_prints_a_repository_as_json(publish: Publish, run: Inspect, tmp_path: Path) -> None:
    publish("digits")
    flip(publish("tumour") / "model.onnx")

    code, text = run(tmp_path / "models", "--json", "--verify")
    digits, tumour = json.loads(text)["models"]

    assert code == 2
    assert (digits["name"], digits["verified"], digits["evidence"]["chosen"]) == ("digits", True, "fp32")
    assert (tumour["verified"], tumour["error"].split(" was ")[0]) == (False, tumour["folder"] + "/model.onnx")


def test_says_what_is_not_there(publish: Publish, run: Inspect, tmp_path: Path) -> None:
    with pytest.raises(NotABundle, match="gone is not a bundle: the folder does not exist"):
        run(tmp_path / "gone")
    publish()
    with pytest.raises(NoSuchModel, match=r"^no version 7 of 'tumour'; available: 1$"):
        run(tmp_path / "models" / "tumour", "--version", 7)
    with pytest.raises(NoSuchModel, match=r"^no version 7 in .*models; available: 1$"):
        run(tmp_path / "models", "--version", 7)
