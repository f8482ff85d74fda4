"""Against a double of a cluster; `tests/cluster` rolls out on a real one."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from tests.knative.bundles import a_bundle, size_of
from tests.knative.rollout.knative_double import KnativeDouble, make_double

from snooze.cli import main
from snooze.knative.commands import rollout as command
from snooze.knative.manifest.options import Options
from snooze.knative.rollout import patience, rollout
from snooze.knative.rollout.deployment import prepare
from snooze.knative.rollout.judging.options import REASONS
from snooze.knative.rollout.judging.options import Options as Limits
from snooze.knative.rollout.judging.verdict import Verdict
from snooze.knative.rollout.live import ROLLOUT
from snooze.knative.rollout.rollout import Checks

Make = Callable[..., Path]
IMAGE = "registry.example.com/tumour:4"
GOOD = Verdict(100, (), "100 requests")


class JudgeDouble:
    """Gives one verdict, or does something instead."""

    def __init__(self, verdict: Verdict, do: Callable[[], None] = lambda: None) -> None:
        self.verdict = verdict
        self.do = do

    def begin(self) -> None:
        """Begin nothing."""

    def look(self) -> Verdict:
        self.do()
        return self.verdict


@pytest.fixture
def knative(monkeypatch: pytest.MonkeyPatch) -> KnativeDouble:
    """The cluster of the commands, in which an image serves."""
    double = make_double()
    bundle = a_bundle()
    options = Options("registry.example.com/tumour:3", "tumour", "models")
    spec = prepare(bundle, "sha256:0", size_of(bundle, 10), options).manifest["spec"]
    double.create(spec["template"], spec["traffic"])
    monkeypatch.setattr(patience, "PatientCluster", lambda namespace: double)
    return double


def judge_with(monkeypatch: pytest.MonkeyPatch, judge: JudgeDouble) -> None:
    checks = Checks(lambda old, new: GOOD, lambda old, new: nullcontext(judge))
    monkeypatch.setattr(command, "_make_checks", lambda *_: checks)
    monkeypatch.setattr(rollout, "LOOK_SECONDS", 0)


def roll_out(bundle: Path, *given: str) -> int:
    return main(["rollout", "tumour", str(bundle), "--image", IMAGE, "--namespace", "models", *given])


def run(bundle: Path) -> int:
    """Return the exit code, which SIGTERM raises."""
    try:
        return roll_out(bundle)
    except SystemExit as error:
        return int(str(error.code))


def test_a_rollout_tells_each_step(
    on_disk: Make, knative: KnativeDouble, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    judge_with(monkeypatch, JudgeDouble(GOOD))

    assert roll_out(on_disk(), "--steps", "10,100") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" s  ")[1][:5] for line in lines if "routed" in line] == ["10 % ", "100 %"]
    assert lines[-1].endswith(" serves everything")


def test_what_was_put_back_is_an_error_with_the_reason_and_the_seconds(
    on_disk: Make, knative: KnativeDouble, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    judge_with(monkeypatch, JudgeDouble(Verdict(3, ("3 of 3 requests failed",), "")))

    assert roll_out(on_disk(), "--json") == 1
    output = capsys.readouterr()
    document = json.loads(output.out)
    assert (document["ending"], document["reason"]) == ("put back", "at 5 %: 3 of 3 requests failed")
    assert document["seconds_back"] >= 0
    assert document["events"][0]["event"].endswith("is to take over")
    assert output.err.splitlines()[-1].startswith("snooze: check failed: at 5 %: 3 of 3 requests failed; tumour-v3-")


def test_the_same_command_again_has_nothing_to_do(
    on_disk: Make, knative: KnativeDouble, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    judge_with(monkeypatch, JudgeDouble(GOOD))
    bundle = on_disk()
    assert roll_out(bundle) == 0
    capsys.readouterr()

    assert roll_out(bundle, "--json") == 0
    assert json.loads(capsys.readouterr().out)["ending"] == "unchanged"


def test_a_held_split_tells_the_addresses(
    on_disk: Make, knative: KnativeDouble, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    judge_with(monkeypatch, JudgeDouble(GOOD))

    assert roll_out(on_disk(), "--hold", "50") == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum("gets 50 %, and answers alone at http://v" in line for line in lines) == 2


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_rollout_prints_its_split_and_releases_the_lock(
    number: int,
    code: int,
    on_disk: Make,
    knative: KnativeDouble,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    judge_with(monkeypatch, JudgeDouble(GOOD, lambda: os.kill(os.getpid(), number)))
    bundle = on_disk()

    assert run(bundle) == code
    output = capsys.readouterr().out
    assert " 95 %, tumour-v1-" in output
    assert "snooze rollback tumour --namespace models goes back" in output
    assert json.loads(knative.service["metadata"]["annotations"][ROLLOUT])["holder"] is None

    judge_with(monkeypatch, JudgeDouble(GOOD))
    assert roll_out(bundle) == 0


def test_a_rollback(
    on_disk: Make, knative: KnativeDouble, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = knative.service["status"]["traffic"][0]["revisionName"]
    judge_with(monkeypatch, JudgeDouble(GOOD))
    assert roll_out(on_disk()) == 0
    capsys.readouterr()

    assert main(["rollback", "tumour", "--namespace", "models", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["old"], document["ending"]) == (first, "rolled back")
    assert knative.service["status"]["traffic"][0]["revisionName"] == first
    assert main(["rollback", "tumour", "--namespace", "models"]) == 2


@pytest.mark.parametrize(
    "given",
    [["--steps", "5,x"], ["--steps", "0"], ["--abort-on", "weather"], ["--hold", "100"], ["--max-error-rate", "2"]],
    ids=" ".join,
)
def test_a_value_of_the_wrong_form_is_a_usage_error(given: list[str], on_disk: Make) -> None:
    with pytest.raises(SystemExit) as caught:
        roll_out(on_disk(), *given)

    assert caught.value.code == 2


@pytest.mark.parametrize(
    ("given", "environ"),
    [
        (["--steps", "50,5"], {}),
        (["--max-p99", "1h"], {}),
        (["--shadow", "no-such-file.csv"], {}),
        ([], {"SNOOZE_PROMETHEUS_TOKEN": "two words"}),
    ],
    ids=str,
)
def test_a_wrong_option_is_one_line_before_the_cluster_is_asked(
    given: list[str],
    environ: dict[str, str],
    on_disk: Make,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", "")

    assert roll_out(on_disk(), *given) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("snooze: ")
    assert "kubectl" not in error


def test_the_defaults_are_those_of_the_judge() -> None:
    import argparse

    parser = argparse.ArgumentParser()
    command.rollout_arguments(parser)
    given: dict[str, Any] = vars(parser.parse_args(["tumour", "models", "--image", IMAGE]))
    defaults = Limits()
    assert {name: given[name] for name in Limits._fields if name != "token"} == {
        name: value for name, value in defaults._asdict().items() if name != "token"
    }
    assert command.REASONS.split(",") == list(REASONS)


@pytest.mark.process
@pytest.mark.parametrize("name", ["rollout", "rollback", "versions"])
def test_help_has_examples_and_imports_nothing_heavy(name: str) -> None:
    script = (
        "import sys; from snooze.cli import main\n"
        f"try: main(['{name}', '--help'])\n"
        "except SystemExit: print([m for m in ('numpy', 'yaml', 'snooze.bundle.store') if m in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout

    assert output.count(f"  snooze {name} ") >= 3
    assert output.rstrip().endswith("[]")
