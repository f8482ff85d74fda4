import json
from collections import Counter
from pathlib import Path

import pytest

from snooze.benchmarks.robustness.fuzz import cut_rows
from snooze.benchmarks.robustness.mutations import Case, Generator
from snooze.bundle.samples import read_samples
from snooze.bundle.store import latest


@pytest.fixture
def generator(bundle: Path) -> Generator:
    return make(bundle, 1)


def make(bundle: Path, seed: int) -> Generator:
    found = latest(bundle)
    golden = cut_rows(found.bundle, read_samples(found.folder, found.bundle)[0])
    return Generator(found.bundle, golden, seed)


def take(generator: Generator, number: int) -> list[Case]:
    return [generator.next() for _ in range(number)]


def test_the_same_seed_gives_the_same_requests(bundle: Path) -> None:
    first = take(make(bundle, 1), 300)

    assert take(make(bundle, 1), 300) == first
    assert take(make(bundle, 2), 300) != first


def test_every_kind_is_drawn(generator: Generator) -> None:
    cases = take(generator, 2000)
    kinds = Counter(case.kind for case in cases)

    assert kinds.keys() == {
        "valid v2", "valid plain", "faulty v2", "faulty plain", "faulty v1", "other forms", "other paths",
        "bytes", "half",
    }  # fmt: skip
    assert 0.4 < sum(case.valid for case in cases) / 2000 < 0.6
    assert all(case.framed != (case.kind in ("bytes", "half")) for case in cases)
    assert len({case.number for case in cases}) == 2000
    text = b"".join(case.sent for case in cases)
    for part in b"chunked gzip deflate 100-continue K-Proxy-Request X-Request-Timeout NaN text/csv --cut".split():
        assert part in text


def test_valid_requests_are_framed_and_identified(generator: Generator) -> None:
    for case in (generator.valid() for _ in range(300)):
        head, _, body = case.sent.partition(b"\r\n\r\n")
        lines = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
        if b"Content-Length" in lines:
            assert int(lines[b"Content-Length"]) == len(body)
        else:
            assert lines[b"Transfer-Encoding"] == b"chunked"
        assert case.request_id in (b"", b"r%d" % case.number)
        assert case.last == (lines.get(b"Connection") == b"close")
        if case.golden >= 0 and b"Content-Encoding" not in lines and b"Content-Length" in lines:
            length = int(lines.get(b"Inference-Header-Content-Length", len(body)))
            assert json.loads(body[:length])["id"] == f"r{case.number}"


def test_cuts_are_inside(generator: Generator) -> None:
    cuts = [generator.cuts(10) for _ in range(200)]

    assert any(cuts)
    assert all(0 <= cut < 10 for one in cuts for cut in one)
    assert {generator.at_once() for _ in range(200)} >= {1, 2, 8}
