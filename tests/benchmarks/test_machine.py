import os

import pytest

from snooze.benchmarks.errors import NotMeasurable
from snooze.benchmarks.machine import describe, two_cores


def test_names_the_versions_of_what_is_installed() -> None:
    machine = describe(["numpy", "no-such-package"])

    assert list(machine["versions"]) == ["numpy"]
    assert machine["cores"] >= 1
    assert machine["cpu"]


def test_server_and_load_get_a_core_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 1, 2})

    assert two_cores() == (1, 3)


def test_one_core_is_not_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3})

    with pytest.raises(NotMeasurable):
        two_cores()
