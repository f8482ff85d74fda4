import argparse
from collections.abc import Callable
from pathlib import Path

import pytest

from snooze.bundle.store import latest
from snooze.knative.commands.service import add_bundle, add_load, add_service, calculate, manifest_options, prepare
from snooze.knative.manifest.options import Options

Make = Callable[..., Path]
IMAGE = "registry.example.com/tumour:3"


def parse(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--name")
    add_bundle(parser, "examples:\n  one")
    add_service(parser)
    return parser.parse_args(given)


def test_without_options_the_manifest_has_the_defaults_of_its_options(on_disk: Make) -> None:
    bundle = latest(on_disk(name="Iris_2")).bundle

    assert manifest_options(bundle, parse("a", "--image", IMAGE)) == Options(IMAGE, "iris-2")


def test_every_option_of_the_manifest_can_be_given(on_disk: Make) -> None:
    known = set(vars(parse("a", "--image", IMAGE)))

    assert {"environment" if name == "env" else name for name in known} >= set(Options.__slots__)


def test_prepares_what_is_deployed(on_disk: Make) -> None:
    options = parse(str(on_disk()), "--image", IMAGE, "--rps", "50")
    found, deployment = prepare(options)
    _, profile, needed = calculate(options)

    assert (found.name, found.version) == ("tumour", 1)
    assert deployment.size == needed
    assert profile.cpu == "a CPU"
    assert deployment.revision == f"tumour-{deployment.tag}"


@pytest.mark.parametrize(("given", "user"), [("none", None), ("1000", 1000)])
def test_reads_a_user(given: str, user: int | None) -> None:
    assert parse("a", "--image", IMAGE, "--user", given).user == user


def test_the_rate_is_required_without_a_default(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    add_load(parser)

    with pytest.raises(SystemExit):
        parser.parse_args([])
    assert "--rps" in capsys.readouterr().err
