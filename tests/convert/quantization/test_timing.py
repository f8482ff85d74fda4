import time

import pytest

from snooze.convert.quantization import timing


def test_the_longer_call_takes_longer() -> None:
    found = timing.run_seconds({"short": lambda: None, "long": lambda: time.sleep(0.003)})

    assert 0 < found["short"] < 0.003 <= found["long"]


def test_runs_the_calls_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "SECONDS", 0.0)
    calls: list[str] = []

    timing.run_seconds({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")})

    assert calls == ["a", "b"] + ["a", "b"] * timing.ROUNDS


def test_starts_three_times_at_least(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "SECONDS_OF_STARTS", 0.0)
    starts: list[str] = []

    found = timing.start_seconds({"a": lambda: starts.append("a"), "b": lambda: starts.append("b")})

    assert starts == ["a", "b"] * 3
    assert set(found) == {"a", "b"}


def test_starts_25_times_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "SECONDS_OF_STARTS", 60.0)
    starts: list[int] = []

    timing.start_seconds({"a": lambda: starts.append(1)})

    assert len(starts) == 25
