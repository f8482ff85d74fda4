"""Fixtures that make bundles from hand-made graphs, applications in memory, and servers in their own process."""

import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tests.bundle.conftest import EVIDENCE, PROFILE

from snooze.bundle.adapters import registry
from snooze.bundle.codec import document
from snooze.bundle.contract import Batching, Bundle, Datatype, RunIn, Session, Source, Tensor, Tolerance
from snooze.bundle.datatypes import NAMES
from snooze.bundle.draft import Draft
from snooze.bundle.evidence import Run
from snooze.bundle.samples import Sample, write_samples

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

Array = NDArray[Any]
MakeModel = Callable[..., Path]
StartServer = Callable[..., "Running"]

DEADLINE = 120.0  # seconds after which a test gives up; a slow machine must not reach it

ELEMENT_TYPES: dict[Datatype, int] = {
    "BOOL": TensorProto.BOOL,
    "UINT8": TensorProto.UINT8,
    "UINT16": TensorProto.UINT16,
    "UINT32": TensorProto.UINT32,
    "UINT64": TensorProto.UINT64,
    "INT8": TensorProto.INT8,
    "INT16": TensorProto.INT16,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
    "FP16": TensorProto.FLOAT16,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
    "BYTES": TensorProto.STRING,
}


class Graph:
    """An ONNX graph with its signature and one golden batch of inputs."""

    def __init__(
        self,
        nodes: Sequence[onnx.NodeProto],
        inputs: Sequence[Tensor],
        outputs: Sequence[Tensor],
        golden: Mapping[str, Array],
        weights: Mapping[str, Array] | None = None,
    ) -> None:
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self.golden = dict(golden)
        graph = helper.make_graph(
            nodes,
            "graph",
            [_value(tensor) for tensor in inputs],
            [_value(tensor) for tensor in outputs],
            [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
        self.bytes = model.SerializeToString()


def _value(tensor: Tensor) -> onnx.ValueInfoProto:
    shape = [None if size == -1 else size for size in tensor.shape]
    return helper.make_tensor_value_info(tensor.name, ELEMENT_TYPES[tensor.datatype], shape)


def classifier(width: int = 30) -> Graph:
    """Two classes from `width` numbers: a label, and probabilities that sum to 1."""
    generator = np.random.default_rng(7)
    weights = {"w": generator.normal(size=(width, 2)).astype(np.float32)}
    nodes = [
        helper.make_node("MatMul", ["features", "w"], ["raw"]),
        helper.make_node("Softmax", ["raw"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0),
    ]
    outputs = [Tensor("label", "INT64", (-1,), "label"), Tensor("probabilities", "FP32", (-1, 2), "scores")]
    golden = generator.normal(size=(5, width)).astype(np.float32)
    return Graph(nodes, [Tensor("features", "FP32", (-1, width))], outputs, {"features": golden}, weights)


def regressor() -> Graph:
    """The sum of three numbers, NaN and Infinity included."""
    nodes = [helper.make_node("ReduceSum", ["x", "axes"], ["value"], keepdims=1)]
    weights = {"axes": np.array([1], np.int64)}
    golden = {"x": np.array([[1, 2, 3], [4, 5, 6.5]], np.float32)}
    return Graph(nodes, [Tensor("x", "FP32", (-1, 3))], [Tensor("value", "FP32", (-1, 1), "value")], golden, weights)


def identity(datatype: Datatype, shape: tuple[int, ...] = (-1, 2)) -> Graph:
    """What goes in comes out."""
    sizes = [3 if size == -1 else size for size in shape]
    values = np.arange(int(np.prod(sizes))).reshape(sizes)
    dtype = next(dtype for dtype, name in NAMES.items() if name == datatype)
    if datatype == "BYTES":
        golden = np.array([f"text {value}" for value in values.ravel()], object).reshape(sizes)
    else:
        golden = (values % 2 if datatype == "BOOL" else values).astype(dtype)
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    return Graph(nodes, [Tensor("x", datatype, shape)], [Tensor("y", datatype, shape)], {"x": golden})


def colours() -> Graph:
    """Which of red, green and blue prevails in pictures of 8 x 8 pixels with values from 0 to 1."""
    nodes = [
        helper.make_node("ReduceMean", ["pixels", "axes"], ["means"], keepdims=0),
        helper.make_node("Mul", ["means", "sharpness"], ["raw"]),
        helper.make_node("Softmax", ["raw"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0),
    ]
    weights: dict[str, Array] = {"axes": np.array([1, 2], np.int64), "sharpness": np.array(9, np.float32)}
    outputs = [Tensor("label", "INT64", (-1,), "label"), Tensor("probabilities", "FP32", (-1, 3), "scores")]
    golden = {"pixels": np.zeros((1, 8, 8, 3), np.float32)}
    return Graph(nodes, [Tensor("pixels", "FP32", (-1, 8, 8, 3))], outputs, golden, weights)


def two_inputs() -> Graph:
    """`age` plus the number of each row, and a text that is handed through."""
    nodes = [
        helper.make_node("Add", ["age", "weight"], ["total"]),
        helper.make_node("Identity", ["note"], ["said"]),
    ]
    inputs = [Tensor("age", "INT64", (-1,)), Tensor("weight", "INT64", (-1,)), Tensor("note", "BYTES", (-1,))]
    outputs = [Tensor("total", "INT64", (-1,), "value"), Tensor("said", "BYTES", (-1,))]
    golden = {
        "age": np.array([1, 2]),
        "weight": np.array([30, 40]),
        "note": np.array(["a", "ü"], object),
    }
    return Graph(nodes, inputs, outputs, golden)


def slow() -> Graph:
    """Multiplies two matrices as often as its input says, so a request takes as long as a test wants."""
    size = 192
    body = helper.make_graph(
        [helper.make_node("Identity", ["going"], ["still_going"]), helper.make_node("MatMul", ["m", "w"], ["next"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("m", TensorProto.FLOAT, [size, size]),
        ],
        [
            helper.make_tensor_value_info("still_going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, [size, size]),
        ],
    )
    nodes = [
        helper.make_node("ReduceMax", ["times"], ["trips"], keepdims=0),
        helper.make_node("Loop", ["trips", "", "w"], ["last"], body=body),
        helper.make_node("ReduceMax", ["last"], ["most"], keepdims=0),
        helper.make_node("Cast", ["most"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Sub", ["whole", "whole"], ["zero"]),
        helper.make_node("Add", ["times", "zero"], ["value"]),
    ]
    inputs, outputs = [Tensor("times", "INT64", (-1,))], [Tensor("value", "INT64", (-1,), "value")]
    weights = {"w": np.eye(size, dtype=np.float32)}
    return Graph(nodes, inputs, outputs, {"times": np.array([1, 2])}, weights)


def publish(
    repository: Path,
    name: str,
    graph: Graph,
    labels: tuple[str, ...] | None = None,
    run_in: RunIn = "loop",
    golden_outputs: Mapping[str, Array] | None = None,
    seconds: Mapping[int, float] | None = None,
    adapter: Mapping[str, Any] | None = None,
    raw: Sequence[bytes] | None = None,
    files: Mapping[str, bytes] | None = None,
) -> Path:
    """
    Write a graph as the next version of a bundle; its golden outputs are what ONNX Runtime gives here.

    `seconds` are those of its profile, by rows. With an `adapter`, `raw` are the golden inputs as raw rows, and `files`
    what the adapter needs.
    """
    import onnxruntime

    if golden_outputs is None:
        session = onnxruntime.InferenceSession(graph.bytes, providers=["CPUExecutionProvider"])
        names = [tensor.name for tensor in graph.outputs]
        golden_outputs = dict(zip(names, session.run(names, graph.golden), strict=True))
    batches = graph.inputs[0].shape[:1] == (-1,)
    bundle = Bundle(
        name=name,
        version=1,
        created="2026-11-21T01:02:03Z",
        source=Source("hand-made", "1", None, None, None, None),
        inputs=graph.inputs,
        outputs=graph.outputs,
        task="classification" if labels else None,
        labels=labels,
        batching=Batching(axis=0, max_rows=64) if batches else None,
        adapter=adapter,
        session=Session("model.onnx", "none", 1, run_in),
        tolerance={
            tensor.name: Tolerance(rtol=1e-4, atol=1e-5) if tensor.datatype.startswith("FP") else Tolerance(exact=True)
            for tensor in graph.outputs
        },
        evidence=document(EVIDENCE),
        profile=document(PROFILE if seconds is None else PROFILE._replace(run=tuple(_runs(seconds)))),
        files={},
    )
    with Draft(repository, name) as draft:
        for file, content in {"model.onnx": graph.bytes, **(files or {})}.items():
            (draft.folder / file).write_bytes(content)
        sample = Sample(graph.golden, golden_outputs, None if raw is None else tuple(raw))
        write_samples(draft.folder / "samples.npz", [sample])
        return draft.publish(bundle)


COLOURS: dict[str, Any] = {
    "kind": "image", "input": "pixels", "height": 8, "width": 8, "layout": "NHWC", "channels": "RGB", "scale": 1 / 255,
}  # fmt: skip
COLUMNS: dict[str, Any] = {
    "kind": "table",
    "columns": [
        {"name": "age", "type": "integer"},
        {"name": "weight", "type": "integer", "missing": True, "default": "7"},
        {"name": "note", "type": "text", "categories": ["good", "bad"], "closed": True},
    ],
}


def publish_adapted(
    repository: Path, name: str, graph: Graph, adapter: dict[str, Any], labels: tuple[str, ...] | None = None
) -> Path:
    """Write a graph with an adapter, which makes the golden inputs of drawn rows, as the next version of a bundle."""
    loaded = registry.find(adapter["kind"]).load(registry.declaration(adapter), graph.inputs, repository)
    rows = loaded.draw(3)
    graph.golden = dict(loaded.apply(rows))
    return publish(repository, name, graph, labels, adapter=adapter, raw=[loaded.pack(row) for row in rows])


def publish_each_adapter(repository: Path) -> None:
    """Write a model with each kind of adapter: `colours`, `patient`, `words` as they are, and `clean` ones."""
    publish_adapted(repository, "colours", colours(), COLOURS, ("red", "green", "blue"))
    publish_adapted(repository, "patient", two_inputs(), COLUMNS)
    publish_adapted(repository, "words", identity("BYTES", (-1,)), {"kind": "text", "input": "x"})
    rules = {"kind": "text", "input": "x", "cleaning": {"case": "lower"}}
    publish_adapted(repository, "clean", identity("BYTES", (-1,)), rules)


def picture(colour: tuple[int, int, int], kind: str = "PNG", size: int = 16) -> bytes:
    """Return the file of a picture of one colour."""
    from io import BytesIO

    from PIL import Image

    file = BytesIO()
    Image.new("RGB", (size, size), colour).save(file, kind)
    return file.getvalue()


def _runs(seconds: Mapping[int, float]) -> Iterator[Run]:
    for rows, wall in seconds.items():
        yield Run(rows, wall, 0.0, wall)


class Running:
    """A server in its own process. Its log is what it wrote to stderr."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self.log = log
        self.url = f"http://127.0.0.1:{port}"

    def text(self) -> str:
        """Return the log so far."""
        return self.log.read_text()

    def post(
        self, path: str, document: Any, timeout: float = DEADLINE, headers: Mapping[str, str] | None = None
    ) -> Any:
        """Post JSON and return the answer's JSON; an error status raises."""
        request = urllib.request.Request(self.url + path, json.dumps(document).encode(), dict(headers or {}))
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return json.load(answer)

    def wait_for(self, text: str, count: int = 1) -> None:
        """Wait until the log holds `text` so often."""
        end = time.monotonic() + DEADLINE
        while self.text().count(text) < count:
            if time.monotonic() > end or self.process.poll() not in (None, -9):
                assert self.text().count(text) >= count, f"{text!r} did not appear; the log: {self.text()}"
                return
            time.sleep(0.01)

    def stop(self) -> int:
        """End the server as Kubernetes does, and return its exit code."""
        self.process.terminate()
        return self.process.wait(DEADLINE)


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a model of each kind. Nobody writes to it."""
    root = tmp_path_factory.mktemp("models")
    publish(root, "tumour", classifier(), labels=("malignant", "benign"))
    publish(root, "tumour", classifier(), labels=("malignant", "benign"))
    publish(root, "sum", regressor())
    publish(root, "person", two_inputs())
    publish(root, "slow", slow(), run_in="executor")
    for datatype in ELEMENT_TYPES:
        publish(root, f"identity-{datatype.lower()}", identity(datatype))
    return root


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Start servers that end with the test."""
    running: list[Running] = []

    def start(*models: Path, command: Sequence[str] = ("-m", "snooze.service"), **variables: str) -> Running:
        import socket

        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            text = variables.setdefault("PORT", str(free.getsockname()[1]))
        environ = {
            **{name: text for name, text in os.environ.items() if not name.startswith(("SNOOZE_", "PORT", "K_"))},
            "SNOOZE_HOST": "127.0.0.1",
            "SNOOZE_MODELS": os.pathsep.join(map(str, models)),
            **variables,
        }
        log = tmp_path / f"server-{len(running)}.log"
        with log.open("wb") as stderr:
            process = subprocess.Popen([sys.executable, *command], env=environ, stderr=stderr, stdout=stderr)
        running.append(Running(process, int(text) if text.isdigit() else 0, log))
        return running[-1]

    yield start
    for one in running:
        one.process.terminate()
    for one in running:
        try:
            one.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            one.process.kill()
            one.process.wait(DEADLINE)


@pytest.fixture
def find_client() -> Callable[[str], Path]:
    """Find the Python of an environment that holds one client, which `scripts/test --clients` prepares."""
    folder = os.environ.get("SNOOZE_CLIENTS")

    def find(name: str) -> Path:
        if folder is None:
            pytest.skip(f"{name} needs an environment of its own: scripts/test --clients")
        return Path(folder, name, "bin", "python").absolute()

    return find


class Client:
    """Asks an application in memory, one event loop for each request."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> "Answer":
        """Send a request; `x_request_id="a"` is the header `X-Request-Id: a`."""
        raw = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
        return asyncio.run(self.exchange(method, path, [body], raw))

    def post(self, path: str, document: Any, **headers: str) -> "Answer":
        """Post JSON."""
        return self.ask("POST", path, json.dumps(document).encode(), **headers)

    async def exchange(
        self, method: str, path: str, parts: Sequence[bytes], raw: Sequence[tuple[bytes, bytes]] = ()
    ) -> "Answer":
        """Send the body in several parts, and collect the answer."""
        messages = [
            {"type": "http.request", "body": part, "more_body": i + 1 < len(parts)} for i, part in enumerate(parts)
        ]
        sent: list[Mapping[str, Any]] = []

        async def receive() -> Mapping[str, Any]:
            return messages.pop(0) if messages else {"type": "http.disconnect"}

        async def send(message: Mapping[str, Any]) -> None:
            sent.append(message)

        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "scheme": "http",
            "http_version": "1.1",
            "server": ("testserver", 80),
            "client": ("testclient", 1),
            "headers": list(raw),
        }
        await self.app(scope, receive, send)
        body = b"".join(message.get("body", b"") for message in sent[1:])
        return Answer(sent[0]["status"], sent[0]["headers"], body)


class Answer:
    """A complete answer."""

    def __init__(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> None:
        self.status = status
        self.headers = {name.decode().lower(): value.decode() for name, value in headers}
        self.body = body

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """Return what the error says."""
        return str(self.json()["error"])


@pytest.fixture(scope="session")
def client(repository: Path) -> Client:
    """A client of an application that serves every model of the repository."""
    from snooze.service import Settings, create_app

    return Client(create_app(Settings(models=(repository,), log="off", max_body=100_000)))
