import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.benchmarks.test_cli import parse

from snooze.benchmarks.cli import bench
from snooze.benchmarks.events import Caller, Event, failures, read_answer, summarize
from snooze.benchmarks.load.outcomes import Outcome
from snooze.benchmarks.peers.candidates import Golden, snooze
from snooze.benchmarks.peers.servers import Running

ANSWER = b"HTTP/1.1 %s\r\nContent-Length: 2\r\n%s\r\n{}"
KEPT, CLOSED = ANSWER % (b"503 x", b""), ANSWER % (b"429 x", b"Connection: close\r\n")


@contextmanager
def scripted(*connections: list[bytes]) -> Iterator[int]:
    """Serve on the port that is yielded: connection by connection, and an answer of it for each request."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for answers in connections:
                with listener.accept()[0] as connection:
                    for answer in answers:
                        connection.recv(65536)
                        connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


@pytest.fixture
def golden(bundle: Path) -> Golden:
    """The first golden row."""
    return Golden.of(bundle)


def caller(golden: Golden, port: int, number: int = 0) -> Caller:
    return Caller(Running(snooze(golden), port, 0, 0.0, 0.0), golden, number)


def test_every_request_has_one_outcome(golden: Golden) -> None:
    with scripted([KEPT, CLOSED], [KEPT, b""], [KEPT[:-1]]) as port:
        asking = caller(golden, port)
        outcomes = [asking.send() for _ in range(5)]
        asking.close()

    assert outcomes == [
        Outcome.UNAVAILABLE,
        Outcome.OVERLOADED,
        Outcome.UNAVAILABLE,
        Outcome.LOST,  # the server closed the connection instead of an answer
        Outcome.LOST,  # a part of an answer is none
    ]
    assert asking.send() == Outcome.REFUSED
    assert asking.outcomes.total() == 6


def test_a_connection_whose_end_can_be_seen_is_not_used_again(golden: Golden) -> None:
    with scripted([KEPT], [KEPT]) as port:
        asking = caller(golden, port)
        assert asking.send() == Outcome.UNAVAILABLE
        assert asking._connection is not None
        while asking._connection.recv(1, socket.MSG_PEEK):  # until the server's end has arrived
            pass
        assert asking.send() == Outcome.UNAVAILABLE
        asking.close()


def test_a_wrong_answer_is_no_answer(golden: Golden) -> None:
    with scripted([ANSWER % (b"200 OK", b"")]) as port:
        asking = caller(golden, port, number=1)
        assert asking.send() == Outcome.FAILED
    assert "the answer is b'{}'" in asking.problems[0]


def test_an_answer_in_parts_is_read(golden: Golden) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(KEPT[:10])
        threading.Timer(0.01, theirs.sendall, [KEPT[10:]]).start()
        assert read_answer(ours) == (503, {"content-length": "2"}, b"{}")


def test_the_table_counts_what_was_sent() -> None:
    outcomes = Counter({Outcome.ANSWERED: 7, Outcome.REFUSED: 2, Outcome.LOST: 1})
    found = summarize([Event("SIGTERM", 3, outcomes, [])], 8)

    assert found.rows == [["SIGTERM", "3", "8", "7", "2", "0", "0", "0", "1"]]
    assert (found.figures["SIGTERM"]["sent"], found.figures["SIGTERM"]["lost"]) == (8, 1)
    assert failures(found) == ["SIGTERM: 1 requests were lost or answered wrong"]


@pytest.mark.process
def test_no_request_is_lost(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """About 2,000 requests: the servers stop, sleep and reload several times."""
    assert bench(parse("events", str(bundle), "--requests=700", f"--output={tmp_path / 'events'}")) == 0

    printed = capsys.readouterr().out
    cells = {
        row[1]: row[2:] for line in printed.splitlines() if (row := [cell.strip() for cell in line.split("|")])[2:]
    }
    for name in ("SIGTERM", "idle sleep", "reload"):
        assert int(cells[name][0]) > 0
        assert int(cells[name][1]) >= 700
        assert cells[name][-3:-1] == ["0", "0"]
    assert (tmp_path / "events.md").read_text() in printed
