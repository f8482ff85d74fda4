from argparse import ArgumentTypeError
from collections.abc import Callable

import pytest

from snooze.bundle import arguments


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (arguments.duration, "5m", 300.0),
        (arguments.size, "64Ki", 65536),
        (arguments.integer(-1, 10), "-1", -1),
        (arguments.integer(0, 10), "10", 10),
        (arguments.number(0, 100), "0.5", 0.5),
    ],
)
def test_returns_the_value(parse: Callable[[str], float], text: str, value: float) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (arguments.duration, "soon"),
        (arguments.size, "large"),
        (arguments.integer(0, 10), "11"),
        (arguments.integer(0, 10), "1.0"),
        (arguments.integer(0, 10), ""),
        (arguments.integer(0, 10), "9" * 5000),
        (arguments.number(0, 100), "nan"),
        (arguments.number(0, 100), "many"),
    ],
)
def test_states_what_was_expected(parse: Callable[[str], float], text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="expected"):
        parse(text)
