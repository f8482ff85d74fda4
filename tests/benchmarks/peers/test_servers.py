import json
import os
import sys
from pathlib import Path

import pytest

from snooze.benchmarks.errors import StartFailed, WrongAnswer
from snooze.benchmarks.meters import cpu_seconds
from snooze.benchmarks.peers.candidates import KNOWN, Golden, bare, snooze
from snooze.benchmarks.peers.servers import connect, predict, running

pytestmark = pytest.mark.process

CORE = min(os.sched_getaffinity(0))


@pytest.fixture(scope="module")
def golden(bundle: Path) -> Golden:
    return Golden.of(bundle)


@pytest.mark.parametrize("name", ["snooze", "fastapi", "fastapi-tuned"])
def test_the_first_answer_of_a_peer_is_right_and_timed(golden: Golden, name: str) -> None:
    with running(KNOWN[name](golden, sys.executable, False), golden) as server:
        assert server.wall_seconds > 0
        assert server.cpu_seconds > 0
        pid = server.pid

    with pytest.raises(ProcessLookupError):
        cpu_seconds(pid)


def test_binary_tensors_are_checked_as_well(golden: Golden) -> None:
    candidate = snooze(golden, binary=True)
    wrong = golden.sample._replace(outputs={name: array + 1 for name, array in golden.sample.outputs.items()})

    with running(candidate, golden):
        pass
    with pytest.raises(WrongAnswer), running(candidate, golden._replace(sample=wrong)):
        pass


def test_bare_uvicorn_answers_on_one_core_again_and_again(golden: Golden) -> None:
    with running(bare(golden), golden, [CORE]) as server:
        connection = connect(server.port)
        for _ in range(3):
            answer = predict(connection, server.candidate)
            assert (answer.status, json.loads(answer.body)) == (200, {"outputs": []})
        connection.close()
        allowed = Path(f"/proc/{server.pid}/status").read_text().split("Cpus_allowed_list:")[1].split()[0]
        assert allowed == str(CORE)


def test_the_last_line_of_a_server_that_does_not_start_is_repeated(golden: Golden) -> None:
    candidate = bare(golden)._replace(command=(sys.executable, "-c", "raise SystemExit('no model there')"))

    with pytest.raises(StartFailed) as caught, running(candidate, golden):
        pass

    assert (caught.value.server, caught.value.problem) == ("bare uvicorn", "no model there")


def test_an_answer_other_than_200_is_not_timed(golden: Golden) -> None:
    candidate = KNOWN["fastapi-tuned"](golden, sys.executable, False)._replace(path="/elsewhere")

    with pytest.raises(WrongAnswer, match="status 404"), running(candidate, golden):
        pass
