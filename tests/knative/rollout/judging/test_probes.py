import time
from collections.abc import Callable

import pytest
from tests.client.conftest import Serve

from snooze.bundle.store import Found
from snooze.client.exchange import Address, Payload
from snooze.knative.rollout.judging import probes
from snooze.knative.rollout.judging.counts import Counts
from snooze.knative.rollout.judging.probes import Prober, Probes
from snooze.knative.rollout.judging.questions import golden_questions

QUESTION = Payload(b"{}", {"Content-Type": "application/json"})
PATH = "/models/m/predict"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "INTERVAL_SECONDS", 0.02)


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def probe(questions: list[Payload] | None = None, path: str = PATH, **urls: str) -> dict[str, Probes]:
    """Return what came of at least four probes of each URL."""
    prober = Prober(path, questions or [QUESTION], {name: Address.parse(url) for name, url in urls.items()})
    prober.start()
    wait_for(lambda: all(one.sent >= 4 for one in prober.tally().values()))
    prober.close()
    return dict(prober.tally())


def test_counts_what_fails_and_what_the_server_counts_itself(serve: Serve) -> None:
    ours = {"Snooze-Model": "m"}
    found = probe(
        good=serve({PATH: (200, ours, b"{}")}),
        wrong=serve({PATH: (500, ours, b"{}")}),
        proxy=serve({PATH: (502, {}, b"bad gateway")}),
        caller=serve({PATH: (400, ours, b"{}")}),
        gone="http://127.0.0.1:9",
    )

    assert {name: (one.failed == one.sent, one.problem) for name, one in found.items()} == {
        "good": (False, None),
        "wrong": (True, "answered 500"),
        "proxy": (True, "answered 502"),
        "caller": (False, None),
        "gone": (True, "Connection refused"),
    }
    assert found["good"].failed == found["caller"].failed == 0
    assert found["wrong"].counted.errors == found["wrong"].sent
    assert found["caller"].counted.requests == found["caller"].sent
    assert found["proxy"].counted.requests == found["gone"].counted.requests == 0


def test_a_server_that_says_nothing_fails_and_does_not_hold_up_the_end(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    monkeypatch.setattr(probes, "PROBE_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        found = probe(silent=f"http://127.0.0.1:{silent.getsockname()[1]}")

        assert found["silent"].failed == found["silent"].sent
        assert found["silent"].problem == "timed out"

        monkeypatch.setattr(probes, "PROBE_SECONDS", 60.0)
        monkeypatch.setattr(probes, "CLOSE_SECONDS", 0.1)
        prober = Prober(PATH, [QUESTION], {"silent": Address.parse(f"http://127.0.0.1:{silent.getsockname()[1]}")})
        prober.start()
        time.sleep(0.1)
        began = time.monotonic()
        prober.close()
        assert time.monotonic() - began < 30


def test_a_step_counts_its_own_probes() -> None:
    before = Probes(10, 2, Counts({("code", "200"): 8.0}), "timed out")
    now = Probes(15, 3, Counts({("code", "200"): 11.0, ("code", "500"): 1.0}), "answered 500")

    assert now.since(before) == Probes(5, 1, Counts({("code", "200"): 3.0, ("code", "500"): 1.0}), "answered 500")


@pytest.mark.process
def test_a_real_server_counts_each_probe(versions: list[Found], urls: list[str]) -> None:
    path, questions = golden_questions(versions[0])

    found = probe(questions, path, old=urls[0])["old"]

    assert found.failed == 0
    assert found.counted.requests == found.sent >= 4
