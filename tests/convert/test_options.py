from dataclasses import fields
from typing import Any, get_args

import pytest

from snooze.bundle.contract import Task
from snooze.bundle.errors import InvalidOption
from snooze.convert.frameworks.registry import NAMES
from snooze.convert.options import Keywords, Options


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"framework": "caffe"}, f"--from: expected one of {', '.join(NAMES)}, got 'caffe'"),
        ({"task": "luck"}, f"--task: expected one of {', '.join(get_args(Task))}, got 'luck'"),
        ({"samples": "none"}, "--samples: expected one of real, synthetic, got 'none'"),
        ({"quantize": "off"}, "--quantize: expected one of auto, none, got 'off'"),
        ({"prefer": "luck"}, "--prefer: expected one of speed, start, size, got 'luck'"),
        ({"max_drop": -0.1}, "--max-drop: expected points, 0 or more, got -0.1"),
        ({"max_drop": float("nan")}, "--max-drop: expected points, 0 or more, got nan"),
        ({"max_flips": 101}, "--max-flips: expected a percentage from 0 to 100, got 101"),
        ({"rows": 0}, "--rows: expected 1 to 64 rows a request, got 0"),
        ({"rows": 65}, "--rows: expected 1 to 64 rows a request, got 65"),
        ({"labels": ("a", "a")}, "--labels: expected different names, got 'a,a'"),
        ({"labels": ("a", "")}, "--labels: expected different names, got 'a,'"),
    ],
)
def test_refuses_the_impossible(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        Options(**options)

    assert str(caught.value) == problem


def test_there_is_a_keyword_for_every_option() -> None:
    assert set(Keywords.__annotations__) == {field.name for field in fields(Options)}


def test_tells_what_a_candidate_must_keep() -> None:
    limits = Options(max_drop=0, max_flips=1, prefer="size", rows=8).limits

    assert (limits.max_drop, limits.max_flips, limits.prefer, limits.rows) == (0, 1, "size", 8)
