"""
Clients that a server has to survive, and what each of them gets.

Each attack is a coroutine that opens its connections, does its harm and returns the outcomes by name: a status, or
`closed` (the server ended the connection without an answer), `dropped` (the
same, of a client that does not read), `reset`, `refused` (no connection), `open` (held to the
end of the attack) or `silent` (no answer in time).
"""

import asyncio
import gzip
import re
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

from snooze.benchmarks.meters import MIB
from snooze.benchmarks.robustness.answers import Answer, AnswerReader, Malformed
from snooze.benchmarks.robustness.bodies import INFER, ZEROS, binary_request, json_body, post
from snooze.bundle.contract import Bundle

PATIENCE: Final = 30.0  # seconds for an answer
PIECE: Final = 65_536
ALIVE: Final = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n"
FALLBACK_MAX_BODY: Final = 16 * MIB
SMALL_BUFFER: Final = 4096  # bytes that the kernel of a slow reader takes
HELD: Final = ("open", "silent")

Outcomes = Counter[str]


class Target(NamedTuple):
    """A server under attack. `scale` multiplies the numbers of clients and requests."""

    port: int
    bundle: Bundle
    max_body: int
    scale: float = 1.0

    def times(self, number: int) -> int:
        """Return a number of clients or requests for this scale, at least 1."""
        return max(1, round(number * self.scale))


class Peer:
    """One end of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.closes = False  # the last answer announced the end of the connection
        self._answers = AnswerReader()
        self._waiting: list[Answer] = []

    async def send(self, data: bytes) -> bool:
        """Send in pieces; return False if the server ends the connection or has answered before the end."""
        try:
            for at in range(0, len(data), PIECE):
                self.writer.write(data[at : at + PIECE])
                await self.writer.drain()
        except OSError:
            return False
        return True

    async def outcome(self, seconds: float = PATIENCE) -> str:
        """Return the outcome of the next request: the status of its answer, or why there is none."""
        try:
            async with asyncio.timeout(seconds):
                while not self._waiting:
                    data = await self.reader.read(PIECE)
                    if not data:
                        return "closed"
                    self._waiting += self._answers.feed(data)
        except TimeoutError:
            return "silent"
        except OSError:
            return "reset"
        except Malformed:
            return "malformed"
        answer = self._waiting.pop(0)
        self.closes = answer.closes
        return str(answer.status)


@asynccontextmanager
async def connected(target: Target, receive_buffer: int = 0) -> AsyncIterator[Peer | None]:
    """Connect; None where that is refused."""
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    connection.setblocking(False)
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    try:
        async with asyncio.timeout(PATIENCE):
            await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", target.port))
        reader, writer = await asyncio.open_connection(sock=connection, limit=PIECE)
    except (OSError, TimeoutError):
        connection.close()
        yield None
        return
    try:
        yield Peer(reader, writer)
    finally:
        writer.transport.abort()


async def together(number: int, client: Callable[[int], Awaitable[Iterable[str]]]) -> Outcomes:
    """Run clients at the same time and return all their outcomes."""
    return Counter(one for outcomes in await asyncio.gather(*map(client, range(number))) for one in outcomes)


async def ask(target: Target, requests: Iterable[bytes]) -> list[str]:
    """Send requests one after the other, each on a connection of its own."""
    outcomes = []
    for request in requests:
        async with connected(target) as peer:
            if peer is None:
                outcomes.append("refused")
                continue
            await peer.send(request)
            outcomes.append(await peer.outcome())
    return outcomes


async def find_max_body(port: int, bundle: Bundle) -> int:
    """Return the largest body that the server accepts, as its refusal of a larger one says."""
    async with connected(Target(port, bundle, 0)) as peer:
        if peer is not None:
            await peer.send(post(bundle, b"", length=10**15))
            try:
                said = await asyncio.wait_for(peer.reader.read(PIECE), PATIENCE)
            except (OSError, TimeoutError):
                said = b""
            found = re.search(rb"larger than (\d+) bytes", said)
            if found:
                return int(found[1])
    return FALLBACK_MAX_BODY


async def bomb_with_json_strings(target: Target) -> Outcomes:
    """Texts that need much more memory than bytes: one wide character among others, many short texts, escapes, keys."""
    size = target.max_body
    wide = "\U0001f600".encode()
    short = json_body(target.bundle, size, JSON_STRINGS)
    long = b'{"id":"' + wide + b"a" * (size - 100) + b'","inputs":[]}'
    name = b'{"inputs":[{"name":"' + wide + b"a" * (size - 100) + b'"}]}'
    data = b'{"inputs":[{"name":%s,"datatype":"BYTES","shape":[1],"data":["%s%s"]}]}'
    one = data % (b'"%s"' % target.bundle.inputs[0].name.encode(), wide, b"a" * (size - 300))
    escapes = b'{"inputs":["' + b"\\u00e9" * ((size - 100) // 6) + b'"]}'
    keys = b'{"inputs":[{' + b",".join(b'"%d":0' % number for number in range(size // 12)) + b"}]}"
    requests = [post(target.bundle, body) for body in (short, long, name, one, escapes, keys)]
    return await together(target.times(8), lambda _: ask(target, requests))


async def bomb_with_binary_strings(target: Target) -> Outcomes:
    """Millions of texts of 0 and 2 bytes, which cost 4 and 6 bytes to send and 8 and 59 to hold."""
    requests = [binary_request(target.bundle, target.max_body, text) for text in (b"", b"ab")]
    return await together(target.times(8), lambda _: ask(target, requests))


async def bomb_with_gzip(target: Target) -> Outcomes:
    """Bodies that grow a thousandfold: to the largest size, and to ten times that."""
    spaces = gzip.compress(b" " * (10 * target.max_body), 6)
    requests = [
        binary_request(target.bundle, target.max_body, compressed=True),
        post(target.bundle, gzip.compress(json_body(target.bundle, target.max_body, ZEROS), 6), GZIP),
        post(target.bundle, spaces, GZIP),
    ]
    return await together(target.times(100), lambda _: ask(target, requests))


async def send_largest_bodies(target: Target) -> Outcomes:
    """Valid JSON of the largest size from 100 clients; all hold back the last byte until each has sent the rest."""
    request = post(target.bundle, json_body(target.bundle, target.max_body))
    number = target.times(100)
    ready = asyncio.Barrier(number)

    async def client(_: int) -> list[str]:
        async with connected(target) as peer:
            sent = peer is not None and await peer.send(request[:-1])
            try:
                await asyncio.wait_for(ready.wait(), PATIENCE)
            except (TimeoutError, asyncio.BrokenBarrierError):
                pass
            if peer is None:
                return ["refused"]
            if sent:
                await peer.send(request[-1:])
            return [await peer.outcome(2 * PATIENCE)]

    return await together(number, client)


async def send_slow_heads(target: Target) -> Outcomes:
    """1,000 heads, one byte a second."""
    return await _send_slowly(target, b"POST /predict HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 1000)


async def send_slow_bodies(target: Target) -> Outcomes:
    """1,000 bodies, one byte a second, announced as large as is accepted."""
    return await _send_slowly(target, post(target.bundle, b" " * 1000, length=target.max_body), 200)


async def _send_slowly(target: Target, request: bytes, begin: int = 10) -> Outcomes:
    async def client(_: int) -> list[str]:
        async with connected(target) as peer:
            if peer is None:
                return ["refused"]
            await peer.send(request[:begin])
            for at in range(begin, begin + SLOW_SECONDS):
                outcome = await peer.outcome(1.0)
                if outcome != "silent":
                    return [outcome]
                if not await peer.send(request[at : at + 1]):
                    return [await peer.outcome()]
            return ["open"]

    return await together(target.times(1000), client)


async def read_slowly(target: Target) -> Outcomes:
    """1,000 clients that ask for large answers, again and again, and read none."""
    request = binary_request(target.bundle, min(READER_BODY, target.max_body), b"", compressed=True)
    begun = asyncio.Event()
    ports: set[int] = set()
    outcomes = Outcomes()

    async def client(_: int) -> None:
        async with connected(target, SMALL_BUFFER) as peer:
            if peer is None:
                outcomes["refused"] += 1
                return
            ports.add(peer.writer.get_extra_info("sockname")[1])
            peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
            peer.writer.write(request * ANSWERS)
            await begun.wait()

    async with asyncio.TaskGroup() as group:
        clients = [group.create_task(client(number)) for number in range(target.times(1000))]
        for _ in range(READ_SECONDS):
            await asyncio.sleep(1.0)
            held = ports & find_held(target.port)
            if not held and len(ports) + outcomes["refused"] == len(clients):
                break
        begun.set()
    return outcomes + Outcomes(dropped=len(ports - held), open=len(held))


def find_held(port: int) -> set[int]:
    """
    Return the ports of the clients whose connections a process holds that listens on `port` of this machine.

    A client that does not read cannot see that the server has closed its connection: the kernel of the server still
    has to send what comes before that. But then the socket belongs to no process, and its inode is 0 (proc(5)).
    """
    held = set()
    for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]:
        fields = line.split()
        if int(fields[1].partition(":")[2], 16) == port and fields[3] != LISTENS and fields[9] != "0":
            held.add(int(fields[2].partition(":")[2], 16))
    return held


async def ask_for_little_pipelined(target: Target) -> Outcomes:
    """A million tiny requests on one connection, a thousand at once."""
    return await _ask_for_little(target, 1000)


async def ask_for_little(target: Target) -> Outcomes:
    """A hundred thousand tiny requests on one connection, one by one."""
    return await _ask_for_little(target._replace(scale=target.scale / 10), 1)


async def _ask_for_little(target: Target, at_once: int) -> Outcomes:
    outcomes = Outcomes()
    async with connected(target) as peer:
        if peer is None:
            return Outcomes(refused=1)
        for _ in range(target.times(1_000_000) // at_once):
            await peer.send(ALIVE * at_once)
            for _ in range(at_once):
                outcome = await peer.outcome()
                outcomes[outcome] += 1
                if not outcome.isdigit():
                    return outcomes
    return outcomes


async def stay_idle(target: Target) -> Outcomes:
    """2,000 connections that send nothing."""

    async def client(_: int) -> list[str]:
        async with connected(target) as peer:
            return ["refused"] if peer is None else [_idle(await peer.outcome(IDLE_SECONDS))]

    return await together(target.times(2000), client)


def _idle(outcome: str) -> str:
    return "idle" if outcome == "silent" else outcome  # a server may keep connections that have asked for nothing


async def send_huge_heads(target: Target) -> Outcomes:
    """100 heads of 10 MiB: one line, and many."""
    start = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n"
    requests = [start + b"X: " + b"x" * 10 * MIB, start + b"X-Header: value\r\n" * (10 * MIB // 17)]
    return await together(target.times(100), lambda number: ask(target, [requests[number % 2]]))


async def send_tiny_chunks(target: Target) -> Outcomes:
    """20 bodies of 200,000 chunks of one byte."""
    request = CHUNKED % INFER.format(target.bundle.name).encode() + b"1\r\n \r\n" * 200_000 + b"0\r\n\r\n"
    return await together(target.times(20), lambda _: ask(target, [request]))


async def send_endless_trailers(target: Target) -> Outcomes:
    """20 bodies whose one chunk is followed by 16 MiB of trailers, or announced with 16 MiB of extensions."""
    start = CHUNKED % INFER.format(target.bundle.name).encode()
    trailers = start + b"1\r\n \r\n0\r\n" + b"X: y\r\n" * (16 * MIB // 6) + b"\r\n"
    extensions = start + b"1;" + b"x" * 16 * MIB + b"\r\n \r\n0\r\n\r\n"
    return await together(target.times(20), lambda number: ask(target, [(trailers, extensions)[number % 2]]))


async def send_deep_json(target: Target) -> Outcomes:
    """Lists and objects as deep as the largest body permits, closed and not, and lists that are wide."""
    half = target.max_body // 2 - 100
    bodies = [
        b"[" * half,
        b"[" * half + b"]" * half,
        b'{"a":' * (half // 3),
        b'{"inputs":' * (half // 5) + b"1" + b"}" * (half // 5),
        b"[" + b"[]," * (half // 2) + b"[]]",
        b"[" + b"{}," * (half // 2) + b"{}]",
        b'{"inputs":[{"name":"x","data":' + b"[" * 900 + b"1," * half,
    ]
    requests = [post(target.bundle, body) for body in bodies]
    return await together(target.times(8), lambda _: ask(target, requests))


async def send_many_tensors(target: Target) -> Outcomes:
    """Very many inputs, outputs, parameters and dimensions."""
    name = target.bundle.inputs[0].name.encode()
    tensor = b'{"name":"%s","datatype":"FP32","shape":[1],"data":[1]}' % name
    size = target.max_body - 1000
    bodies = [
        b'{"inputs":[' + b",".join([tensor] * (size // (len(tensor) + 1))) + b"]}",
        b'{"inputs":[%s],"outputs":[' % tensor + b",".join([b'{"name":"y"}'] * (size // 13)) + b"]}",
        b'{"inputs":[{"name":"%s","datatype":"FP32","shape":[' % name + b"1," * (size // 2) + b'1],"data":[1]}]}',
        b'{"inputs":[{"name":"%s","datatype":"FP32","shape":[%s9],"data":[1]}]}' % (name, b"9" * (size // 2)),
        b'{"inputs":[{"name":"%s","datatype":"FP32","shape":[99999999,99999999],"data":[1]}]}' % name,
        b'{"parameters":{' + b",".join(b'"%d":0' % number for number in range(size // 12)) + b'},"inputs":[]}',
    ]
    requests = [post(target.bundle, body) for body in bodies]
    return await together(target.times(8), lambda _: ask(target, requests))


JSON_STRINGS: Final = dict.fromkeys("fiubO", b'"ab"')
GZIP: Final = b"Content-Encoding: gzip"
CHUNKED: Final = b"POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
SLOW_SECONDS: Final = 40  # for which a slow client is held at most
IDLE_SECONDS: Final = 10.0
READ_SECONDS: Final = 120  # the same for slow readers, whose answers have to be computed before they wait
READER_BODY: Final = MIB // 2
ANSWERS: Final = 64  # for each slow reader, more than the kernel's buffers hold
LISTENS: Final = "0A"  # the state of a listening socket in /proc/net/tcp
