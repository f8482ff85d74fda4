import time
from pathlib import Path

import pytest

from snooze.benchmarks.peers.candidates import Golden, snooze
from snooze.benchmarks.peers.servers import running
from snooze.benchmarks.robustness.witness import Sightings, witness


@pytest.mark.process
def test_a_witness_counts_right_answers_and_what_it_did_not_get(bundle: Path) -> None:
    golden = Golden.of(bundle)
    with running(snooze(golden), golden) as server, witness(bundle, server.port) as client:
        time.sleep(0.5)
        healthy = client.end()
    with witness(bundle, server.port) as client:  # nobody listens there any more
        time.sleep(0.2)
        alone = client.end()

    assert healthy.right > 1
    assert healthy._replace(right=0, p50_ms=0, p99_ms=0) == Sightings(p50_ms=0, p99_ms=0)
    assert healthy.p50_ms is not None
    assert healthy.p99_ms is not None
    assert healthy.p50_ms <= healthy.p99_ms
    assert alone.lost == alone.requests > 0
