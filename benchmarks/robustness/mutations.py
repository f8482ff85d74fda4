"""
Requests for a model: valid ones, ones with known kinds of faults, and ones with random bytes.

Everything is drawn from one seed: the request of a number is the same in each run.
"""

import gzip
import json
import random
import zlib
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

from snooze.bundle.contract import Bundle, Tensor
from snooze.bundle.rows.drawing import draw as draw_rows
from snooze.bundle.samples import Sample
from snooze.client import v2
from snooze.client.exchange import HEADER_LENGTH

Document = dict[str, Any]

DRAWN: Final = 8  # other documents, of several rows each
VALID_SHARE: Final = 0.5
BYTES_SHARE: Final = 0.15  # fewer in the end: none is among several at once
HALF_SHARE: Final = 0.1  # of these, which are not complete
MAX_AT_ONCE: Final = 8
DATATYPES: Final = (
    "BOOL",
    "UINT8",
    "INT8",
    "UINT64",
    "INT64",
    "FP16",
    "FP32",
    "FP64",
    "BYTES",
    "BF16",
    "fp32",
    "",
    None,
)
VALUES: Final[Sequence[Any]] = (
    None, True, False, 0, -1, 1, 7, 255, 256, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**40, 0.1,
    -0.0, 1e39, 1e308, 5e-324, "", "a", "1", "NaN", "\x00", "\x7f", "é", "\U0001f600", "\ud800", "a" * 2000, [], {},
    [[]], [None], {"a": 1}, [[[[[[[[1]]]]]]]], ["a"], [True], [1, "a"], [1.5] * 300,
)  # fmt: skip
SIZES: Final[Sequence[Any]] = (
    -(2**63),
    -2,
    -1,
    0,
    1,
    2,
    3,
    16,
    1000,
    2**31,
    2**40,
    2**63 - 1,
    2**64,
    1.0,
    True,
    None,
    "1",
)
KEYS: Final = (
    "inputs", "outputs", "id", "parameters", "name", "shape", "datatype", "data", "rows", "instances", "signature_name",
    "binary_data", "binary_data_size", "binary_data_output", "timeout", "priority", "classification", "sequence_id",
    "sequence_start", "shared_memory_region", "headers", "triton_x", "content_type", "model_name", "", "\x00", "ü",
)  # fmt: skip
TIMES: Final = ("0", "5", "0.001", "1e-9", "-1", "nan", "inf", "1e400", "", "5s", "0x5", "86401", " 5 ", "5,5", "\xfc")
LENGTHS: Final = ("0", "1", "-1", "-5", "+5", "5 5", "", "99999999", "9" * 30, "0x10", "1.5", "\xb2", "nan")
PARTS: Final = (
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b":", b" ", b"\t", b"\x00", b"\xff", b"Content-Length: 5\r\n", b"Host: y\r\n",
    b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n", b"5\r\nhello\r\n", b"HTTP/1.1", b"GET / HTTP/1.1\r\n", b",", b";",
    b"Expect: 100-continue\r\n", b"Upgrade: h2c\r\n", b"Connection: close\r\n", b'"', b"[", b"{", b"}", b"\\u0000",
    b"-",
)  # fmt: skip
TRACE: Final = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
MEDIA: Final = (
    "text/csv", "text/csv", "text/csv; charset=latin-1", "text/plain", "image/png", "image/jpeg", "multipart/form-data",
    "multipart/form-data; boundary=cut", "multipart/form-data; boundary=cut", "multipart/form-data; boundary=cu",
)  # fmt: skip
PART: Final = b'--cut\r\nContent-Disposition: form-data; name="a"; filename="b"\r\n\r\n%s\r\n'
KNATIVE: Final = (
    ("User-Agent", "curl/8.5.0"), ("Accept", "*/*"), ("Forwarded", "for=10.244.0.9;proto=http"),
    ("K-Proxy-Request", "activator"), ("X-Forwarded-For", "10.244.0.9, 10.244.0.20"), ("X-Forwarded-Proto", "http"),
    ("X-Envoy-Expected-Rq-Timeout-Ms", "0"), ("Traceparent", TRACE), ("Tracestate", "a=b,c=d"),
)  # fmt: skip


class Case(NamedTuple):
    """
    A request and what is known of its answer. `request_id` is empty where it sends none that has to be echoed.

    `golden` is the number of the golden row, -1 for none. A `valid` request has to be answered 200. `framed` is whether
    its bytes are one request for certain. After a `last` one the connection ends.
    """

    number: int
    kind: str
    sent: bytes
    request_id: bytes = b""
    golden: int = -1
    valid: bool = False
    framed: bool = True
    last: bool = False


class Base(NamedTuple):
    """A valid request: its document, the binary tensors after it, and the number of its golden row."""

    document: Document
    tail: bytes
    golden: int


class Generator:
    """Draws requests for a bundle's model."""

    def __init__(self, bundle: Bundle, golden: Sequence[Sample], seed: int) -> None:
        self._random = random.Random(seed)
        self._cuts = random.Random(seed)  # of its own: when packets are cut depends on the server's pace
        self._number = 0
        self._inputs = bundle.inputs
        self._outputs = [tensor.name for tensor in bundle.outputs]
        self._model = bundle.name
        self._version = bundle.version
        batches = [(sample.inputs, number) for number, sample in enumerate(golden)]
        batches += [(draw_rows(self._inputs, 1 + i, seed + i), -1) for i in range(DRAWN)]
        self._json = [self._base(arrays, number, binary=False) for arrays, number in batches]
        self._binary = [self._base(arrays, number, binary=True) for arrays, number in batches]
        self._plain = [json.loads(v2.encode_rows(arrays, self._inputs, "rows").body) for arrays, _ in batches]

    def next(self) -> Case:
        """Return the next request."""
        chance = self._random.random()
        if chance < VALID_SHARE:
            return self.valid()
        if chance < 1 - BYTES_SHARE:
            return self._faulty()
        return self._scrambled()

    def at_once(self) -> int:
        """Return how many requests to send before the first answer is read."""
        return self._random.randint(2, MAX_AT_ONCE) if self._random.random() < 0.2 else 1

    def cuts(self, size: int) -> Sequence[int]:
        """Return where to cut `size` bytes into packets: nowhere, mostly."""
        draw = self._cuts
        return sorted(draw.randrange(size) for _ in range(draw.randint(1, 3))) if draw.random() < 0.1 else ()

    def _base(self, arrays: Mapping[str, Any], number: int, binary: bool) -> Base:
        payload = v2.encode(arrays, self._inputs, "rows", binary)
        end = int(payload.headers.get(HEADER_LENGTH, len(payload.body)))
        return Base(json.loads(payload.body[:end]), payload.body[end:], number)

    def valid(self) -> Case:
        """Return a valid request."""
        self._number += 1
        draw = self._random
        headers = self._headers()
        if draw.random() < 0.3:
            document = draw.choice(self._plain)
            path = draw.choice(("/predict", f"/models/{self._model}/predict", "/predict?top=1"))
            headers = [header for header in headers if header[0] != "Content-Type"]  # which says how to read the body
            return self._case("valid plain", path, json.dumps(document).encode(), headers, valid=True)
        base = draw.choice(self._binary if draw.random() < 0.4 else self._json)
        request_id = f"r{self._number}"
        head = json.dumps(base.document | {"id": request_id}).encode()
        if base.tail:
            headers.append((HEADER_LENGTH, str(len(head))))
        return self._case("valid v2", self._path(), head + base.tail, headers, valid=True, golden=base.golden)

    def _faulty(self) -> Case:
        self._number += 1
        draw = self._random
        chance = draw.random()
        if chance < 0.12:
            return self._other_path()
        headers = self._headers()
        if chance < 0.2:
            return self._other_form()
        if chance < 0.35:
            document = _copy(draw.choice(self._plain))
            self._mutate(document)
            v1 = draw.random() < 0.4
            if v1 and "rows" in document:
                document = {draw.choice(("instances", "inputs")): document.pop("rows")} | document
            path = f"/v1/models/{self._model}:predict" if v1 else "/predict"
            return self._case("faulty v1" if v1 else "faulty plain", path, self._spoil(_dump(document)), headers)
        base = draw.choice(self._binary if draw.random() < 0.4 else self._json)
        document = _copy(base.document)
        self._mutate(document)
        body = self._spoil(_dump(document))
        tail = base.tail
        if tail:
            length = str(len(body)) if draw.random() < 0.7 else draw.choice((*LENGTHS, str(len(body) - 1)))
            headers.append((HEADER_LENGTH, length))
            tail = self._spoil_tail(tail)
        return self._case("faulty v2", self._path(), body + tail, headers)

    def _scrambled(self) -> Case:
        """Return a request with random faults in its bytes, which may be any number of requests."""
        draw = self._random
        data = bytearray((self.valid() if draw.random() < 0.7 else self._faulty()).sent)
        if draw.random() < HALF_SHARE:
            return Case(self._number, "half", bytes(data[: draw.randrange(1, len(data))]), framed=False)
        head = data.find(b"\r\n\r\n") + 4
        for _ in range(draw.randint(1, 4)):
            at = draw.randrange(min(len(data), head) if draw.random() < 0.8 else len(data)) if data else 0
            chance = draw.random()
            if chance < 0.35 and data:
                data[at] ^= 1 << draw.randrange(8)
            elif chance < 0.55:
                del data[at : at + draw.randint(1, 8)]
            elif chance < 0.9:
                data[at:at] = draw.choice(PARTS)
            else:
                data[at:at] = data[at : at + draw.randint(1, 64)]
        return Case(self._number, "bytes", bytes(data), framed=False)

    def _other_path(self) -> Case:
        """Return a request for anything but a prediction, or by the wrong method."""
        draw = self._random
        path = draw.choice((
            "/", "/healthz", "/readyz", "/v2", "/v2/", "/v2/health/live", "/v2/health/ready", "/metrics",
            "/openapi.json", "/docs", "/v1/models", f"/v1/models/{self._model}", f"/v2/models/{self._model}",
            "/v2/models/nope", f"/v2/models/{self._model}/ready", f"/v2/models/{self._model}/versions/{self._version}",
            f"/v2/models/{self._model}/versions/0/infer", f"/v2/models/{self._model}/versions/{'9' * 30}",
            "/v2/repository/index", f"/v2/repository/models/{self._model}/unload", "/v2/models//infer", "//predict",
            f"/v2/models/{self._model}/stats", "/predict/", "/%70redict", "/%00", "/%ff", "/%", "/../predict", "/\xfc",
            "/predict?a=b&c=%00", "/" + "a" * 2000,
        ))  # fmt: skip
        method = draw.choice(("GET", "GET", "GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"))
        body = draw.choice((b"", b"", b"{}", b"[]", b'{"ready":true}'))
        return self._case("other paths", path, body, self._headers(), method=method)

    def _other_form(self) -> Case:
        """Return a request with CSV, a picture or a form, mostly with a fault."""
        draw = self._random
        rows = [row if isinstance(row, list) else [row] for row in draw.choice(self._plain)["rows"]]
        text = "\r\n".join(",".join(map(str, row)) for row in rows).encode()
        files = [
            draw.choice((text, b"\x89PNG\r\n\x1a\n" + draw.randbytes(64), b"x")) for _ in range(draw.randint(1, 3))
        ]
        body = b"".join(PART % file for file in files) + b"--cut--\r\n" if draw.random() < 0.5 else files[0]
        headers = [("Content-Type", draw.choice(MEDIA))]
        path = draw.choice(("/predict", f"/models/{self._model}/predict", "/predict?top=0", "/predict?top=2&top=%31"))
        return self._case("other forms", path, self._spoil_tail(body), headers)

    def _path(self) -> str:
        version = f"/versions/{self._version}" if self._random.random() < 0.2 else ""
        return f"/v2/models/{self._model}{version}/infer"

    def _headers(self) -> list[tuple[str, str]]:
        """Return headers that change nothing but the form of an answer."""
        draw = self._random
        headers: list[tuple[str, str]] = []
        chance = draw.random()
        if chance < 0.2:
            headers += KNATIVE
        elif chance < 0.3:
            headers.append(("Traceparent", draw.choice((TRACE, "", "00-0-0-0", "\xfc", TRACE * 10))))
        if draw.random() < 0.2:
            headers.append(
                ("Accept-Encoding", draw.choice(("gzip", "deflate", "gzip;q=0", "*", "identity", "", "br,x")))
            )
        if draw.random() < 0.4:
            headers.append(("Content-Type", draw.choice(("application/json", "application/octet-stream", "text/x"))))
        return headers

    def _case(
        self,
        kind: str,
        path: str,
        body: bytes,
        headers: list[tuple[str, str]],
        *,
        method: str = "POST",
        valid: bool = False,
        golden: int = -1,
    ) -> Case:
        """Return a request with the body in one of its encodings and framings."""
        draw = self._random
        chance = draw.random()
        if chance < 0.1:
            encoding = draw.choice(("gzip", "deflate", "x-gzip", "identity"))
            headers.append(("Content-Encoding", encoding))
            body = _encode(body, encoding)
            if not valid and draw.random() < 0.3:
                body = body[: draw.randrange(len(body) + 1)] + draw.choice((b"", b"x", body))
        elif chance < 0.12 and not valid:
            headers.append(("Content-Encoding", draw.choice(("br", "gzip", "deflate", "gzip, gzip", "\xfc", ""))))
        if not valid and draw.random() < 0.15:
            headers.append(("X-Request-Timeout", draw.choice(TIMES)))
        if draw.random() < 0.03:
            headers.append(("Expect", "100-continue"))
        last = draw.random() < 0.02
        if last:
            headers.append(("Connection", "close"))
        request_id = b""
        if draw.random() < 0.9:
            request_id = b"r%d" % self._number
            headers.append(("X-Request-Id", request_id.decode()))
        elif draw.random() < 0.5:
            headers.append(("X-Request-Id", draw.choice(("", " ", "\xfc", "a" * 3000, '"quoted"'))))
        if draw.random() < 0.15 and body:
            headers.append(("Transfer-Encoding", "chunked"))
            body = self._chunks(body)
        elif body or method == "POST":
            headers.append(("Content-Length", str(len(body))))
        draw.shuffle(headers)
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        start = f"{method} {path} HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode("latin-1", "replace")
        return Case(self._number, kind, start + body, request_id, golden, valid, last=last)

    def _chunks(self, body: bytes) -> bytes:
        draw = self._random
        cuts = sorted({0, len(body), *(draw.randrange(len(body)) for _ in range(draw.randint(0, 4)))})
        extension = draw.choice((b"", b"", b";a=b", b';a="b c"'))
        parts = [b"%x%s\r\n%s\r\n" % (end - begin, extension, body[begin:end]) for begin, end in pairwise(cuts)]
        return b"".join(parts) + b"0\r\n" + draw.choice((b"", b"", b"X-Trailer: y\r\n")) + b"\r\n"

    def _mutate(self, document: Document) -> None:
        """Change a document in one to three places."""
        for _ in range(self._random.choice((1, 1, 1, 2, 3))):
            mutation = self._random.choice(MUTATIONS)
            mutation(self._random, document, self._inputs, self._outputs)

    def _spoil(self, body: bytes) -> bytes:
        """Return a JSON text, at times with a fault that no JSON value has."""
        draw = self._random
        if draw.random() < 0.85 or not body:
            return body
        at = draw.randrange(len(body))
        return draw.choice((
            body[:at], body + body, b"\xef\xbb\xbf" + body, b" " * at + body, body.decode().encode("utf-16"),
            body[:at] + b"\xff" + body[at:], body.replace(b"0", b"NaN", 1), body.replace(b"1", b"Infinity", 1),
            body.replace(b"]", b",]", 1), body.replace(b":", b":/**/", 1), body.replace(b'"', b"'"), b"[" * 2000 + body,
            body.replace(b"0", b"1e999", 1), body.replace(b"0", b"00", 1), body[:at] + b"\\" + body[at:], b"",
        ))  # fmt: skip

    def _spoil_tail(self, tail: bytes) -> bytes:
        draw = self._random
        if draw.random() < 0.5:
            return tail
        at = draw.randrange(len(tail))
        junk = draw.randbytes(4)
        return draw.choice(
            (tail[:at], tail + junk, junk + tail, tail[:at] + junk + tail[at + 4 :], b"", b"\xff" * len(tail))
        )


Mutation = Callable[[random.Random, Document, Sequence[Tensor], Sequence[str]], None]


def _set_value(draw: random.Random, document: Document, inputs: Sequence[Tensor], outputs: Sequence[str]) -> None:
    where, key = _place(draw, document)
    where[key] = _copy(draw.choice(VALUES))


def _remove(draw: random.Random, document: Document, inputs: Sequence[Tensor], outputs: Sequence[str]) -> None:
    where, key = _place(draw, document)
    del where[key]


def _rename(draw: random.Random, document: Document, inputs: Sequence[Tensor], outputs: Sequence[str]) -> None:
    where, key = _place(draw, document)
    if isinstance(where, dict):
        where[draw.choice(KEYS)] = where.pop(key)


def _repeat(draw: random.Random, document: Document, inputs: Sequence[Tensor], outputs: Sequence[str]) -> None:
    where, key = _place(draw, document)
    if isinstance(where, list):
        where.append(where[key])
    else:
        where[key] = [where[key], where[key]]


def _add_key(draw: random.Random, document: Document, inputs: Sequence[Tensor], outputs: Sequence[str]) -> None:
    where, _ = _place(draw, document)
    if isinstance(where, dict):
        where[draw.choice(KEYS)] = _copy(draw.choice(VALUES))


def _set_parameter(draw: random.Random, document: Document, inputs: Sequence[Tensor], outputs: Sequence[str]) -> None:
    tensors = [one for one in _list(document.get("inputs")) if isinstance(one, dict)]
    parameters = draw.choice([document, *tensors]).setdefault("parameters", {})
    if isinstance(parameters, dict):
        parameters[draw.choice(KEYS)] = _copy(draw.choice((*VALUES, *SIZES)))


def _reshape(draw: random.Random, document: Document, inputs: Sequence[Tensor], outputs: Sequence[str]) -> None:
    tensors = [one for one in _list(document.get("inputs")) if isinstance(one, dict) and "shape" in one]
    if tensors:
        tensor = draw.choice(tensors)
        shape = list(_list(tensor["shape"]))
        draw.choice((
            lambda: shape.append(draw.choice(SIZES)),
            lambda: shape.insert(0, draw.choice(SIZES)),
            lambda: shape and shape.__setitem__(draw.randrange(len(shape)), draw.choice(SIZES)),
            lambda: shape.reverse(),
            lambda: shape.clear(),
            lambda: shape.extend([1] * 100),
            lambda: shape.__setitem__(slice(None), draw.choices(SIZES, k=len(shape))),
        ))()  # fmt: skip
        tensor["shape"] = shape


def _empty(draw: random.Random, document: Document, inputs: Sequence[Tensor], outputs: Sequence[str]) -> None:
    """Leave a tensor without values, in a shape that may have a huge size beside its zero."""
    for tensor in _list(document.get("inputs")):
        for spec in inputs:
            if isinstance(tensor, dict) and tensor.get("name") == spec.name:
                sizes = (0, 0, 1, 2**31, 2**62, 2**63 - 1, 2**63)
                tensor["shape"] = [draw.choice(sizes) if size == -1 else size for size in spec.shape]
                tensor["data"] = []


def _retype(draw: random.Random, document: Document, inputs: Sequence[Tensor], outputs: Sequence[str]) -> None:
    for tensor in _list(document.get("inputs")):
        if isinstance(tensor, dict):
            tensor["datatype"] = draw.choice(DATATYPES)


def _swap_data(draw: random.Random, document: Document, inputs: Sequence[Tensor], outputs: Sequence[str]) -> None:
    for tensor in _list(document.get("inputs")):
        if isinstance(tensor, dict) and "data" in tensor:
            number = len(_list(tensor["data"]))
            tensor["data"] = draw.choice((
                [_copy(draw.choice(VALUES))] * number, [tensor["data"]], [[value] for value in _list(tensor["data"])],
                {"0": tensor["data"]}, _list(tensor["data"])[:-1], [*_list(tensor["data"]), 1],
                [draw.random()] * number, [draw.randint(-300, 300)] * number, ["é" * 5] * number,
                [True, False] * number,
            ))  # fmt: skip


def _choose_outputs(draw: random.Random, document: Document, inputs: Sequence[Tensor], outputs: Sequence[str]) -> None:
    names = [draw.choice((*outputs, "nope", None)) for _ in range(draw.randint(0, 3))]
    document["outputs"] = [
        {"name": name, "parameters": {"binary_data": draw.choice((True, False, 1, None))}}
        if draw.random() < 0.5
        else {"name": name}
        for name in names
    ]


MUTATIONS: Final[Sequence[Mutation]] = (
    _set_value, _set_value, _remove, _rename, _repeat, _add_key, _set_parameter, _reshape, _empty, _retype,
    _swap_data, _choose_outputs,
)  # fmt: skip


def _place(draw: random.Random, document: Document) -> tuple[Any, Any]:
    """Return a container inside a document, and a key or index of it that exists; the document has a key."""
    if not document:
        document["inputs"] = []
    where: Any = document
    while True:
        key = draw.choice(list(where)) if isinstance(where, dict) else draw.randrange(len(where))
        inner = where[key]
        if not isinstance(inner, dict | list) or not inner or draw.random() < 0.25:
            return where, key
        where = inner


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _copy(value: Any) -> Any:
    """Copy lists and objects; `copy.deepcopy` takes ten times as long."""
    if isinstance(value, dict):
        return {key: _copy(inner) for key, inner in value.items()}
    return [_copy(inner) for inner in value] if isinstance(value, list) else value


def _dump(document: Document) -> bytes:
    return json.dumps(document).encode()


def _encode(body: bytes, encoding: str) -> bytes:
    if encoding == "deflate":
        return zlib.compress(body)
    return body if encoding == "identity" else gzip.compress(body, 1, mtime=0)
