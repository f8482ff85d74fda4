import time

import pytest

from snooze.service.ledger import PHASES, Ledger, now, process_start


def test_phases_sum_to_the_whole_without_a_rest() -> None:
    spawned = now() - 0.5
    ledger = Ledger(spawned)
    for phase in ("interpreter", "listen", "imports", "session", "listen"):
        time.sleep(0.001)
        ledger.mark(phase)

    assert ledger.total == pytest.approx(now() - spawned, abs=0.01)
    assert ledger.seconds["interpreter"] >= 0.5
    assert ledger.seconds["golden"] == 0


def test_the_header_lists_every_phase_in_milliseconds() -> None:
    ledger = Ledger()
    ledger.seconds["imports"] = 0.1234

    timing = dict(part.split(";dur=") for part in ledger.server_timing().decode().split(", "))

    assert tuple(timing) == PHASES
    assert timing["imports"] == "123.4"


def test_a_process_began_in_the_past() -> None:
    began = process_start()

    assert began is not None
    assert 0 < began < now()
