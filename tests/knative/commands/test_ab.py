import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.knative.comparison.conftest import StartArm, order, split_service, start_arm
from tests.knative.kubectl_double import Kubectl

from snooze import cli
from snooze.knative.kubectl import SERVICE

__all__ = ["order", "start_arm"]

pytestmark = pytest.mark.process
Predict = Callable[[float], Any]


@pytest.fixture
def run(kubectl: Kubectl, start_arm: StartArm, tmp_path: Path) -> Callable[..., int]:
    """Return a function that compares two arms with 30 rows of which those above 14 are ill."""
    data = tmp_path / "rows.csv"
    data.write_text("x,y\n" + "".join(f"{number},{'ill' if number > 14 else 'healthy'}\n" for number in range(30)))

    def start(first: Predict, second: Predict, *options: str, **of_second: Any) -> int:
        service = split_service(start_arm("tumour-v1", first), start_arm("tumour-v2", second, **of_second))
        kubectl.put(f"{SERVICE}/tumour", service)
        return cli.main(["ab", "tumour", "--data", str(data), "--label", "y", *options])

    return start


def above(limit: float) -> Predict:
    """Return a model that finds rows above a limit ill."""
    return lambda feature: {"label": "ill" if feature > limit else "healthy"}


def test_says_which_arm_is_better(run: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(above(4), above(14)) == 0

    out = capsys.readouterr().out
    assert "v2 is better (95 % confidence" in out
    assert "only v1 is right in 0 rows, only v2 in 10" in out


def test_reports_as_json(run: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(above(14), above(14), "--requests", "8", "--confidence", "0.9", "--json") == 0

    document = json.loads(capsys.readouterr().out)
    assert (document["rows"], document["compared"]) == (8, 8)
    assert document["verdict"]["winner"] is None
    assert document["verdict"]["confidence"] == 0.9
    assert [arm["version"] for arm in document["arms"]] == ["1", "2"]


def test_the_arms_can_be_named_in_another_order(run: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(above(4), above(14), "--arms", "v2,v1") == 0
    assert "only v2 is right in 10 rows, only v1 in 0" in capsys.readouterr().out


def test_an_arm_that_only_gives_errors_is_a_failed_check(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(above(14), lambda feature: 503) == 1

    out = capsys.readouterr().out
    assert "30 rows, 10 of them asked" in out
    assert "v2 gave 10 errors; the first one: " in out
    assert "no verdict" in out


def test_a_table_is_sent_as_it_is_written(
    run: Callable[..., int], order: list[tuple[str, float]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(above(14), above(14), "--requests", "2", adapter="table") == 0
    assert len(order) == 4
    assert len({feature for _, feature in order}) == 2


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--arms", "v1,v7"], "no tag or revision 'v7'"),
        (["--label", "z"], "has no column 'z'"),
        (["--timeout", "0s"], "expected a duration above 0"),
        (["--model", "other"], "has no model 'other'"),
    ],
)
def test_says_what_is_wrong(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str], options: list[str], problem: str
) -> None:
    assert run(above(14), above(14), *options) == 2
    assert problem in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--arms", "v1"], "expected two tags or revisions"),
        (["--confidence", "95"], "expected a number from 0.5 to 0.999"),
        (["--requests", "0"], "expected an integer from 1"),
    ],
)
def test_the_form_of_options_is_checked(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str], options: list[str], problem: str
) -> None:
    with pytest.raises(SystemExit):
        run(above(14), above(14), *options)
    assert problem in capsys.readouterr().err


def test_labels_that_do_not_fit_are_an_error_after_the_first_row(
    run: Callable[..., int], order: list[tuple[str, float]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(lambda feature: {"value": feature}, lambda feature: {"value": feature}) == 2
    assert "is not a number; the model predicts values" in capsys.readouterr().err
    assert len(order) == 2


def test_answers_of_another_revision_are_refused(run: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(above(14), above(14), names="tumour-v1") == 1
    assert "stands for revision 'tumour-v2', but revision 'tumour-v1' answered" in capsys.readouterr().err


def test_there_must_be_such_a_service(kubectl: Kubectl, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rows.csv").write_text("x,y\n1,a\n")

    assert cli.main(["ab", "other", "--data", str(tmp_path / "rows.csv"), "--label", "y"]) == 2
    assert "there is no Knative Service 'other'" in capsys.readouterr().err


def test_after_ctrl_c_what_is_known_is_printed(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from snooze.knative.comparison import replay

    whole = replay.replay

    def interrupt(*arguments: Any) -> Iterator[replay.Pair]:
        for number, pair in enumerate(whole(*arguments)):
            if number == 3:
                raise KeyboardInterrupt
            yield pair

    monkeypatch.setattr(replay, "replay", interrupt)

    assert run(above(14), above(14)) == 130
    out = capsys.readouterr().out
    assert "30 rows, 3 of them asked" in out
    assert "no winner" in out


def test_progress_is_shown_on_a_terminal(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)

    assert run(above(14), above(14), "--requests", "2") == 0
    assert "2 of 2 rows" in capsys.readouterr().err
