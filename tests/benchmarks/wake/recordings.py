"""Wakes of a Go hello-world and of our server, recorded on a Kubernetes 1.34 with Knative 1.23."""

import json
from pathlib import Path
from typing import NamedTuple

from snooze.benchmarks.wake.phases import Exchange, Ledger
from snooze.benchmarks.wake.watching import Event

FOLDER = Path(__file__).with_name("recorded")


class Recording(NamedTuple):
    exchange: Exchange
    events: list[Event]
    ledger: Ledger | None


def read(name: str) -> Recording:
    recorded = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    events = [Event(*event) for event in recorded["events"]]
    return Recording(Exchange(**recorded["exchange"]), events, Ledger.parse("\n".join(recorded["metrics"])))
