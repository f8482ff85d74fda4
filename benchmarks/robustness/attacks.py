"""
Attacks on a server within the limits of its image: does it survive, and answer others meanwhile?

Each attack has a fresh server and a fresh control group, so that its peak of memory is its own. A witness, a
well-behaved client, asks for golden rows from before the attack to its end.
"""

import asyncio
import os
import resource
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from snooze.benchmarks.comparison import Results
from snooze.benchmarks.errors import NotMeasurable, WrongAnswer
from snooze.benchmarks.machine import describe
from snooze.benchmarks.meters import MIB
from snooze.benchmarks.peers.candidates import Golden, snooze
from snooze.benchmarks.peers.servers import Running, connect, predict, running
from snooze.benchmarks.progress import show
from snooze.benchmarks.robustness import attackers
from snooze.benchmarks.robustness.attackers import Outcomes, Target
from snooze.benchmarks.robustness.bodies import post
from snooze.benchmarks.robustness.confinement import Confinement, Sampler, confine
from snooze.benchmarks.robustness.witness import Sightings, witness
from snooze.bundle.errors import InvalidOption

Attack = Callable[[Target], Awaitable[Outcomes]]

OPEN_FILES: Final = 8192
ATTACK_SECONDS: Final = 300.0
MIN_RIGHT: Final = 0.9  # of the witness's requests
EXIT_SECONDS: Final = 3.0  # from the last complete answer to the end of the process
GONE_SECONDS: Final = 60.0
METHOD: Final = (
    "A fresh server for each attack, in a control group of {limit:.0f} MiB without swap, without capabilities, on a "
    "read-only file system; largest body {max_body} bytes. Meanwhile a witness asks for a golden row 20 times a "
    "second; its latency counts from when a request was due. Memory is the peak of the control group (with page "
    "cache), and the largest of 50 samples a second of its anonymous and its socket memory, in MiB. An attack fails if "
    "the server ends, answers 500, holds a slow client to the end, or gives the witness a wrong answer or less than "
    "{right:.0%} right ones."
)


class Outcome(NamedTuple):
    """What an attack came to. `problems` is empty if the server passed."""

    name: str
    about: str
    seconds: float
    attackers: Mapping[str, int]
    witness: Sightings
    peak_mib: float
    anonymous_mib: float
    socket_mib: float
    problems: Sequence[str]


ATTACKS: Final[Mapping[str, Attack]] = {
    "json-strings": attackers.bomb_with_json_strings,
    "binary-strings": attackers.bomb_with_binary_strings,
    "gzip": attackers.bomb_with_gzip,
    "largest-bodies": attackers.send_largest_bodies,
    "slow-heads": attackers.send_slow_heads,
    "slow-bodies": attackers.send_slow_bodies,
    "slow-readers": attackers.read_slowly,
    "tiny-pipelined": attackers.ask_for_little_pipelined,
    "tiny": attackers.ask_for_little,
    "idle": attackers.stay_idle,
    "huge-heads": attackers.send_huge_heads,
    "tiny-chunks": attackers.send_tiny_chunks,
    "trailers": attackers.send_endless_trailers,
    "deep-json": attackers.send_deep_json,
    "many-tensors": attackers.send_many_tensors,
}
STOP: Final = "sigterm"
NAMES: Final = (*ATTACKS, STOP)


def run(bundle: Path, names: str, limit: int, scale: float, python: str = sys.executable) -> Results:
    """Make the attacks in a list such as `slow-heads,sigterm` (all, if it is empty) and return the results."""
    chosen = names.split(",") if names else NAMES
    for name in chosen:
        if name not in NAMES:
            raise InvalidOption("--attacks", f"expected some of {', '.join(NAMES)}, got {name!r}")
    _allow_open_files()
    golden = Golden.of(bundle)
    outcomes = []
    max_body = 0
    for name in chosen:
        show(name)
        with confine(limit) as group:
            candidate = snooze(golden, python)
            confined = candidate._replace(command=group.enter(candidate.command))
            with running(confined, golden) as server:
                max_body = asyncio.run(attackers.find_max_body(server.port, golden.bundle))
                target = Target(server.port, golden.bundle, max_body, scale)
                if name == STOP:
                    outcomes.append(stop_among_slow_clients(server, golden, group, target))
                else:
                    outcomes.append(endure(name, server, golden, group, target))
    show("")
    return summarize(outcomes, limit, max_body, python)


def endure(name: str, server: Running, golden: Golden, group: Confinement, target: Target) -> Outcome:
    """Make one attack and return its outcome."""
    attack = ATTACKS[name]
    begun = time.perf_counter()
    with witness(golden.folder, server.port) as client:
        with Sampler(group) as memory:
            counts = asyncio.run(_limit(attack(target)))
        seen = client.end()
    problems = [*judge_server(server, golden, group), *judge(counts, seen)]
    return _outcome(name, attack, begun, counts, seen, group, memory, problems)


def judge(counts: Mapping[str, int], seen: Sightings) -> list[str]:
    """Return what is wrong with the outcomes of the attackers and of the witness."""
    problems = []
    if counts.get("500"):
        problems.append(f"{counts['500']} answers 500")
    problems += [f"{counts[name]} {name}" for name in (*attackers.HELD, "malformed") if counts.get(name)]
    if seen.wrong:
        problems.append(f"{seen.wrong} wrong answers to the witness")
    if seen.right < MIN_RIGHT * seen.requests:
        problems.append(f"{seen.right} of {seen.requests} right answers to the witness")
    return problems


def judge_server(server: Running, golden: Golden, group: Confinement) -> list[str]:
    """Return what is wrong with a server after an attack: killed, ended, or without the right answer."""
    if group.kills():
        return ["killed for lack of memory"]
    code = exit_code(server.pid)
    if code is not None:
        return [f"ended with exit code {code}"]
    try:
        connection = connect(server.port)
        answer = predict(connection, server.candidate)
        connection.close()
        if answer.status != 200:
            return [f"status {answer.status} after the attack"]
        server.candidate.check(golden, answer)
    except (OSError, WrongAnswer) as error:
        return [f"after the attack: {error}"]
    return []


def stop_among_slow_clients(server: Running, golden: Golden, group: Confinement, target: Target) -> Outcome:
    """SIGTERM while 100 clients send or read slowly, and 10 ask for complete answers as fast as they can."""
    begun = time.perf_counter()
    with Sampler(group) as memory:
        counts, answered, ended = asyncio.run(_stop(server, target, golden))
    problems = ["killed for lack of memory"] if group.kills() else []
    code = exit_code(server.pid)
    if ended is None:
        problems.append(f"still running {GONE_SECONDS:.0f} s after SIGTERM")
    else:
        counts["ms to the end"] = round((ended - answered) * 1e3)
        if ended - answered > EXIT_SECONDS:
            problems.append(f"ended {ended - answered:.1f} s after the last complete answer")
        if code:
            problems.append(f"exit code {code}")
    if counts.get("lost"):
        problems.append(f"{counts['lost']} complete requests lost")
    return _outcome(STOP, stop_among_slow_clients, begun, counts, Sightings(), group, memory, problems)


async def _stop(server: Running, target: Target, golden: Golden) -> tuple[Outcomes, float, float | None]:
    """Return outcomes, the time of the last complete answer, and that of the end (None: it still runs)."""
    counts = Outcomes()
    last = time.perf_counter()
    payload = server.candidate.payload
    request = post(golden.bundle, payload.body, *(f"{k}: {v}".encode() for k, v in payload.headers.items()))

    async def ask() -> None:
        nonlocal last
        while True:
            async with attackers.connected(target) as peer:
                if peer is None:
                    return
                while not peer.closes:
                    await peer.send(request)
                    outcome = await peer.outcome()
                    counts[outcome if outcome.isdigit() else "lost"] += 1
                    if outcome != "200":
                        break
                    last = time.perf_counter()

    third = target._replace(scale=target.scale * 0.034)
    slow = [
        asyncio.create_task(attack(third))
        for attack in (attackers.send_slow_heads, attackers.send_slow_bodies, attackers.read_slowly)
    ]
    await asyncio.sleep(1.0)
    quick = [asyncio.create_task(ask()) for _ in range(10)]
    await asyncio.sleep(0.5)
    last = time.perf_counter()
    os.kill(server.pid, signal.SIGTERM)
    end = last + GONE_SECONDS
    while exit_code(server.pid) is None and time.perf_counter() < end:
        await asyncio.sleep(0.01)
    ended = time.perf_counter()
    for task in slow:
        task.cancel()
    await asyncio.gather(*slow, *quick, return_exceptions=True)
    return counts, last, ended if exit_code(server.pid) is not None else None


async def _limit(attack: Awaitable[Outcomes]) -> Outcomes:
    """Return the outcomes of an attack, which has only so much time."""
    try:
        return await asyncio.wait_for(attack, ATTACK_SECONDS)
    except TimeoutError:
        return Outcomes(silent=1)


def _outcome(
    name: str,
    attack: Callable[..., object],
    begun: float,
    counts: Mapping[str, int],
    seen: Sightings,
    group: Confinement,
    memory: Sampler,
    problems: Sequence[str],
) -> Outcome:
    about = " ".join((attack.__doc__ or "").split())
    peak, anonymous, sockets = (size / MIB for size in (group.peak_bytes(), memory.anonymous, memory.sockets))
    seconds = time.perf_counter() - begun
    return Outcome(name, about, seconds, counts, seen, peak, anonymous, sockets, problems)


def exit_code(pid: int) -> int | None:
    """Return the exit code of a child, which stays to be waited for; None while it runs."""
    found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    if found is None:
        return None
    return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status


def summarize(outcomes: Sequence[Outcome], limit: int, max_body: int, python: str = sys.executable) -> Results:
    """Return the table, a row for each attack."""
    rows = [
        [
            one.name,
            "; ".join(one.problems) or "passed",
            ", ".join(f"{name}: {count}" for name, count in sorted(one.attackers.items())),
            "-" if not one.witness.requests else f"{one.witness.right} of {one.witness.requests}",
            "-" if one.witness.p99_ms is None else f"{one.witness.p99_ms:.0f}",
            f"{one.peak_mib:.0f}",
            f"{one.anonymous_mib:.0f}",
            f"{one.socket_mib:.0f}",
            f"{one.seconds:.0f}",
        ]
        for one in outcomes
    ]
    figures: dict[str, Any] = {
        one.name: one._asdict() | {"witness": one.witness._asdict(), "attackers": dict(one.attackers)}
        for one in outcomes
    }
    return Results(
        "Attacks",
        METHOD.format(limit=limit / MIB, max_body=max_body, right=MIN_RIGHT),
        describe(python),
        figures,
        [
            "attack",
            "result",
            "attackers got",
            "right for the witness",
            "p99 ms",
            "peak MiB",
            "anonymous",
            "sockets",
            "s",
        ],
        rows,
    )


def failures(results: Results) -> list[str]:
    """Return the names of the attacks that the server did not pass."""
    return [name for name, one in results.figures.items() if one["problems"]]


def _allow_open_files() -> None:
    """Raise the limit on open files, which the server inherits: each client takes one on both sides."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < OPEN_FILES:
        if hard != resource.RLIM_INFINITY and hard < OPEN_FILES:
            raise NotMeasurable(
                "attacks", f"{hard} files may be open, expected {OPEN_FILES}; run: ulimit -Hn {OPEN_FILES}"
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, hard))
