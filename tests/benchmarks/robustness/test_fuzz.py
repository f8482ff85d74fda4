import json
import sys
from pathlib import Path

import numpy as np
import pytest

from snooze.benchmarks.peers.candidates import Golden, snooze
from snooze.benchmarks.peers.servers import running
from snooze.benchmarks.robustness.fuzz import Finding, Report, cut_rows, failures, fuzz, run, summarize
from snooze.bundle.errors import InvalidOption
from snooze.bundle.samples import Sample
from snooze.bundle.store import latest

PLANTED = str(Path(__file__).with_name("planted.py"))
REQUESTS = 3000


@pytest.mark.process
@pytest.mark.parametrize(("bug", "kind"), [("500", "500"), ("mixed", "mixed up"), ("leak", "growth")])
def test_a_planted_bug_is_found(bundle: Path, bug: str, kind: str) -> None:
    golden = Golden.of(bundle)
    planted = snooze(golden)._replace(name=bug, command=(sys.executable, PLANTED, bug))
    with running(planted, golden) as server:
        report = fuzz(server, bundle, REQUESTS, 1, "asgi")

    assert kind in [finding.kind for finding in report.findings]


@pytest.mark.process
def test_the_server_is_fuzzed_on_both_paths(bundle: Path) -> None:
    results = run(bundle, REQUESTS, 1, "both")

    assert list(results.figures) == ["protocol", "asgi"]
    for one in results.figures.values():
        assert one["statuses"]["200"] > one["requests"] / 3
        assert one["statuses"]["400"] > 0
        assert "500" not in one["statuses"]
        assert one["kinds"]["valid v2"][0] > 0
    kinds = [finding["kind"] for finding in results.figures["asgi"]["findings"]]
    assert kinds == []


@pytest.mark.process
def test_a_server_that_ends_is_a_finding(bundle: Path) -> None:
    golden = Golden.of(bundle)
    with running(snooze(golden), golden) as server:
        pass
    report = fuzz(server, bundle, 10, 1, "protocol")

    assert {"crash", "answers"} == {finding.kind for finding in report.findings}


def test_golden_cases_are_single_rows(bundle: Path) -> None:
    contract = latest(bundle).bundle
    sample = Sample({"features": np.zeros((3, 4))}, {"label": np.arange(3), "probabilities": np.zeros((3, 3))})

    rows = cut_rows(contract, sample)

    assert [row.outputs["label"].tolist() for row in rows] == [[0], [1], [2]]
    assert rows[1].inputs["features"].shape == (1, 4)
    fixed = contract._replace(inputs=(contract.inputs[0]._replace(shape=(3, 4)),))
    assert cut_rows(fixed, sample) == [sample]


def test_the_table_has_a_row_for_each_path() -> None:
    finding = Finding("hang", 2, ["no answer to request 3"])
    report = Report("protocol", 10, 1.5, {"200": 5, "400": 5}, {"bytes": (1, 2)}, 0.25, [finding])

    results = summarize([report], 7)

    assert results.rows == [["protocol", "10", "50%", "200: 5, 400: 5", "+0.2", "hang: 2", "2"]]
    assert failures(results) == ["protocol: hang (2): no answer to request 3"]
    assert json.loads(results.as_json())["figures"]["protocol"]["findings"][0]["times"] == 2
    assert "seed 7" in results.method


def test_an_unknown_path_is_refused(bundle: Path) -> None:
    with pytest.raises(InvalidOption) as caught:
        run(bundle, 1, 1, "grpc")

    assert caught.value.option == "--path"
