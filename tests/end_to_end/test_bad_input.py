"""
The hostile and the clumsy user: what is wrong gets one line that names it, exit code 1 or 2 or a 4xx, and leaves
nothing behind. The command and the servers are the real ones, in processes of their own.
"""

import hashlib
import http.client
import json
import os
import pickle
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from snooze.convert import convert

SNOOZE = [sys.executable, "-m", "snooze.cli"]
WIDTH = 4
MAX_BODY = 65_536
ROW = [5.1, 3.5, 1.4, 0.2]
GIVEN_ROW = ",".join(map(str, ROW))
TENSOR = {"name": "features", "shape": [1, WIDTH], "datatype": "FP32", "data": ROW}
GOOD = json.dumps({"inputs": [TENSOR]}).encode()
INFER = "/v2/models/flowers/infer"


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that every command is started in: models and rows, good and bad."""
    folder = tmp_path_factory.mktemp("bad")
    rows = np.random.default_rng(0).normal(size=(60, WIDTH)).astype(np.float32)
    classes = (rows.sum(1) > 0).astype(int)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, classes)
    joblib.dump(model, folder / "good.joblib")
    joblib.dump(LogisticRegression(), folder / "unfitted.joblib")
    joblib.dump(make_pipeline(StandardScaler(), LogisticRegression()), folder / "unfitted-pipeline.joblib")
    (folder / "folder.joblib").mkdir()
    (folder / "empty.joblib").touch()
    (folder / "text.joblib").write_text("hello, this is no model\n")
    (folder / "half.joblib").write_bytes((folder / "good.joblib").read_bytes()[:700])
    (folder / "unknown.bin").write_text("x")
    (folder / "text.keras").write_text("hello")
    (folder / "dict.pkl").write_bytes(pickle.dumps({"a": 1}))
    (folder / "function.pkl").write_bytes(pickle.dumps(os.getcwd))
    os.mkfifo(folder / "pipe.joblib")
    with zipfile.ZipFile(folder / "zip", "w") as archive:
        archive.writestr("a.txt", "b")

    np.savez(folder / "good.npz", features=rows, y=classes)
    np.savez(folder / "narrow.npz", features=rows[:, 1:], y=classes)
    np.savez(folder / "texts.npz", features=rows.astype(str), y=classes)
    np.savez(folder / "none.npz", features=rows[:0], y=classes[:0])
    np.savez(folder / "missing.npz", features=np.where(rows > 1, np.nan, rows), y=classes)
    np.savez(folder / "other-classes.npz", features=rows, y=classes + 5)
    np.savez(folder / "few-labels.npz", features=rows, y=classes[:5])
    (folder / "half.npz").write_bytes((folder / "good.npz").read_bytes()[:500])
    (folder / "words.csv").write_text("a,b,c,d,label\n1,2,three,4,0\n")
    (folder / "ragged.csv").write_text("a,b,c,d,label\n1,2,3,4,0\n1,2,3\n")
    (folder / "rows.parquet").write_bytes(b"PAR1")
    convert(model, name="flowers", target=folder / "models", data={"features": rows, "y": classes}, quantize="off")
    return folder


def snooze(work: Path, *arguments: str, timeout: float = 60) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*SNOOZE, *arguments],
        cwd=work,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "TMPDIR": str(scratch(work))},
    )


def scratch(work: Path) -> Path:
    folder = work.with_name(f"{work.name}-scratch")
    folder.mkdir(exist_ok=True)
    return folder


def assert_refused(answer: "subprocess.CompletedProcess[str]", said: str, code: int = 2) -> None:
    """One line, of ours, that says this."""
    lines = answer.stderr.splitlines()
    assert answer.returncode == code, answer.stderr
    assert len(lines) == 1, answer.stderr
    assert lines[0].startswith("snooze: ")
    assert said in lines[0]
    assert answer.stdout == ""


def assert_nothing_left(work: Path, target: str = "out") -> None:
    assert not (work / target).exists()
    assert list(scratch(work).iterdir()) == []


NO_MODEL = [
    ("folder.joblib", ["--trust"], "folder.joblib: is a folder, expected a file"),
    ("no-such.joblib", ["--trust"], "no-such.joblib: there is no such file"),
    ("pipe.joblib", ["--trust"], "pipe.joblib: is not a regular file"),
    ("empty.joblib", ["--trust"], "empty.joblib: is empty; save the model again"),
    ("unknown.bin", ["--trust"], "unknown.bin: is not a model that can be read; what is read: .joblib"),
    ("zip", [], "zip: is not a model that can be read"),
    ("text.keras", [], "text.keras: is not a .keras file, or a damaged one"),
    ("good.joblib", [], "good.joblib is a pickle, and reading a pickle runs whatever code is in it"),
    ("text.joblib", ["--trust"], "text.joblib: cannot be read"),
    ("half.joblib", ["--trust"], "half.joblib: cannot be read"),
    ("dict.pkl", ["--trust"], "dict.pkl: holds a dict, not a scikit-learn estimator"),
    ("function.pkl", ["--trust"], "function.pkl: holds a builtin_function_or_method, not a scikit-learn estimator"),
    ("unfitted.joblib", ["--trust"], "the LogisticRegression is not fitted; call fit on it and save it again"),
    ("unfitted-pipeline.joblib", ["--trust"], "the Pipeline is not fitted; call fit on it and save it again"),
]


@pytest.mark.parametrize(("file", "options", "said"), NO_MODEL, ids=[f"{case[0]} {case[1]}" for case in NO_MODEL])
def test_what_is_no_trained_model_is_not_converted(work: Path, file: str, options: list[str], said: str) -> None:
    assert_refused(snooze(work, "convert", file, "--name", "m", "--target", "out", *options), said)
    assert_nothing_left(work)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--data", "narrow.npz"], "narrow.npz: input 'features' takes rows of shape (4), got (3)"),
        (["--data", "texts.npz"], "texts.npz: input 'features' takes FP32, the rows hold <U"),
        (["--data", "none.npz"], "none.npz: there are no rows in it"),
        (["--data", "missing.npz"], "the rows given: Pipeline refuses them"),
        (["--data", "other-classes.npz"], "the labels: 6 is none of the classes 0, 1"),
        (["--data", "few-labels.npz"], "few-labels.npz: arrays differ in rows: features has 60, y has 5"),
        (["--data", "half.npz"], "half.npz: cannot be read"),
        (["--data", "words.csv", "--label", "label"], "words.csv: line 2, column 'c': 'three' is not a number"),
        (["--data", "words.csv", "--label", "nope"], "words.csv has no column 'nope'; it has: a, b, c, d, label"),
        (["--data", "ragged.csv", "--label", "label"], "ragged.csv: line 3 has 3 fields, the header 5"),
        (["--labels", "a,b,c"], "--labels: 3 names for 2 classes"),
        (["--rows", "0"], "--rows: expected 1 to 64 rows a request, got 0"),
        (["--max-drop", "nan"], "--max-drop: expected points, 0 or more, got nan"),
        (["--max-flips=-5"], "--max-flips: expected a percentage from 0 to 100, got -5"),
        (["--name", "a/b"], "a model's name is 1 to 100 of A-Z a-z 0-9 . _ -"),
        (["--name", "../m"], "a model's name is 1 to 100 of A-Z a-z 0-9 . _ -"),
        (["--name", "a b"], "got 'a b'"),
        (["--target", "good.npz"], "cannot write a bundle to good.npz/m: Not a directory"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_rows_and_options_that_do_not_fit_are_refused(work: Path, options: list[str], said: str) -> None:
    given = ["convert", "good.joblib", "--trust", "--name", "m", "--target", "out", *options]
    assert_refused(snooze(work, *given), said)
    assert_nothing_left(work)


def test_a_full_disk_leaves_nothing(work: Path) -> None:
    """A limit on the size of files stands in for the disk: both fail in the middle of a write."""
    command = f"ulimit -f 1; exec {' '.join(SNOOZE)} convert good.joblib --trust --name m --target out"
    environ = {**os.environ, "TMPDIR": str(scratch(work))}
    answer = subprocess.run(["bash", "-c", command], cwd=work, env=environ, capture_output=True, text=True, check=False)
    assert_refused(answer, "cannot write a bundle to out/m: File too large")
    assert_nothing_left(work)


# Bundles


def flip(file: str) -> Callable[[Path], None]:
    def damage(bundle: Path) -> None:
        content = bytearray((bundle / file).read_bytes())
        content[len(content) // 2] ^= 1
        (bundle / file).write_bytes(content)

    return damage


def remove(file: str) -> Callable[[Path], None]:
    return lambda bundle: (bundle / file).unlink()


def lead_out(file: str) -> Callable[[Path], None]:
    def damage(bundle: Path) -> None:
        outside = bundle.parents[2] / "outside"
        (bundle / file).rename(outside)
        (bundle / file).symlink_to(outside)

    return damage


def say(**keys: Any) -> Callable[[Path], None]:
    def damage(bundle: Path) -> None:
        contract = json.loads((bundle / "bundle.json").read_text())
        (bundle / "bundle.json").write_text(json.dumps(contract | keys))

    return damage


def write(text: str) -> Callable[[Path], None]:
    def damage(bundle: Path) -> None:
        (bundle / "bundle.json").write_text(text)

    return damage


def change_golden_outputs(bundle: Path) -> None:
    """A whole bundle in every hash, but the model does not give what its samples say."""
    with np.load(bundle / "samples.npz") as samples:
        arrays = dict(samples)
    arrays["out/probabilities"] = arrays["out/probabilities"] + 0.01
    np.savez(bundle / "samples.npz", **arrays)
    contract = json.loads((bundle / "bundle.json").read_text())
    contract["files"]["samples.npz"] = f"sha256:{hashlib.sha256((bundle / 'samples.npz').read_bytes()).hexdigest()}"
    (bundle / "bundle.json").write_text(json.dumps(contract))


@pytest.fixture
def copy(work: Path, tmp_path: Path) -> Path:
    """A repository of its own to damage."""
    return Path(shutil.copytree(work / "models", tmp_path / "models"))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (flip("model.onnx"), "model.onnx was changed after the bundle was written"),
        (flip("samples.npz"), "samples.npz was changed after the bundle was written"),
        (flip("report.html"), "report.html was changed after the bundle was written"),
        (remove("model.onnx"), "model.onnx is listed in bundle.json but is not there"),
        (remove("samples.npz"), "samples.npz is listed in bundle.json but is not there"),
        (remove("bundle.json"), "is not a bundle: it holds no model"),
        (lead_out("model.onnx"), "model.onnx leads out of the bundle's folder"),
        (lead_out("bundle.json"), "bundle.json leads out of the bundle's folder"),
        (write(""), "bundle.json: the file: is not JSON"),
        (write("null"), "bundle.json: the file: expected an object, got null"),
        (say(schema=2), "schema version 2 is not known, this Snooze reads version 1"),
        (say(surprise=1), "bundle.json: surprise: is not a key of the contract"),
        (say(inputs=[]), "bundle.json: inputs: is empty"),
    ],
)
def test_a_damaged_bundle_is_refused_by_name(copy: Path, damage: Callable[[Path], None], said: str) -> None:
    bundle = copy / "flowers" / "1"
    damage(bundle)
    for command in (["inspect", str(bundle), "--verify"], ["serve", str(copy), "--port", "0"]):
        assert_refused(snooze(copy, *command, timeout=20), said)


def test_a_bundle_whose_answers_are_not_the_golden_ones_never_says_ready(copy: Path) -> None:
    change_golden_outputs(copy / "flowers" / "1")
    answer = snooze(copy, "serve", str(copy), "--port", "0", timeout=20)
    assert_refused(answer, "output 'probabilities' is not the golden one on this CPU (off by up to 0.01", code=1)


def test_with_ready_any_the_good_model_answers_beside_the_broken_one(copy: Path) -> None:
    shutil.copytree(copy / "flowers", copy / "broken")
    flip("model.onnx")(copy / "broken" / "1")
    with serving(copy, "--ready", "any") as server:
        assert server.ask("POST", "/v2/models/broken/infer", GOOD)[0] == 503
        assert server.ask("POST", INFER, GOOD)[0] == 200
        assert server.ask("GET", "/readyz")[0] == 200
    assert_refused(snooze(copy, "serve", ".", "--port", "0", timeout=20), "broken/1/model.onnx was changed")


# The server: its start


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no-such-folder"], "no-such-folder is not a bundle: there is no such folder"),
        (["good.npz"], "good.npz is not a bundle: it is not a folder"),
        (["folder.joblib"], "folder.joblib is not a bundle: it holds no model; 'snooze convert ... --target' puts one"),
        (["models", "models"], "are both model 'flowers' version 1"),
        (["models", "--port", "99999"], "--port='99999': expected a whole number from 0 to 65535"),
        (["models", "--port=-1"], "--port='-1': expected a whole number from 0 to 65535"),
        (["models", "--port", "0", "--host", "203.0.113.7"], "203.0.113.7 cannot be used: the address is not one of"),
        (["models", "--idle", "nonsense"], "--idle='nonsense': expected a time such as 60s"),
        (["models", "--idle=-1"], "--idle='-1': expected a time such as 60s"),
        (["models", "--idle", "nan"], "--idle='nan': expected a time such as 60s"),
        (["models", "--max-body", "0"], "--max-body='0': expected a number of bytes such as 16777216"),
        (["models", "--max-in-flight", "0"], "--max-in-flight='0': expected a whole number from 1"),
        (["models", "--ready", "some"], "--ready='some': expected one of: all, any"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_server_that_cannot_start_says_why(work: Path, arguments: list[str], said: str) -> None:
    assert_refused(snooze(work, "serve", *arguments, timeout=20), said)


@pytest.mark.parametrize("idle", [[], ["--idle", "60s"]])
def test_a_port_in_use_is_named(work: Path, idle: list[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        said = f"port {port} on 127.0.0.1 is in use; stop what uses it, or choose another with --port or PORT"
        assert_refused(snooze(work, "serve", "models", "--port", port, *idle, timeout=20), said)


# The server: its requests


class Served:
    """A server of the real command in its own process; `log` is what it wrote to stderr so far."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.process = process
        self.log = log
        self.port = 0
        end = time.monotonic() + 20
        while not (found := re.search(r"http://127\.0\.0\.1:(\d+)", log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end
            time.sleep(0.01)
        self.port = int(found[1])

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def send(self, *parts: bytes) -> bytes:
        """Send bytes as they are, and return all that comes until the server closes the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            for part in parts:
                connection.sendall(part)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def works(self) -> bool:
        status, body = self.ask("POST", INFER, GOOD)
        return status == 200 and json.loads(body)["outputs"][0]["name"] == "label"


@contextmanager
def serving(repository: Path, *options: str) -> Iterator[Served]:
    log = repository.parent / "server.log"
    with log.open("wb") as stderr:
        process = subprocess.Popen([*SNOOZE, "serve", str(repository), "--port", "0", *options], stderr=stderr)
    try:
        yield Served(process, log)
    finally:
        process.terminate()
        assert process.wait(20) == 0
        assert "Traceback" not in log.read_text()


@pytest.fixture(scope="module")
def server(work: Path) -> Iterator[Served]:
    with serving(work / "models", "--max-body", str(MAX_BODY)) as server:
        yield server


def tensor(**changes: Any) -> bytes:
    return json.dumps({"inputs": [TENSOR | changes]}).encode()


BAD_BODIES: list[tuple[str, bytes, int, str]] = [
    ("no JSON", b"hello", 400, "the body is not JSON"),
    ("nothing", b"", 400, "the body is empty; expected JSON"),
    ("no object", b"[1]", 400, "expected a JSON object with 'inputs'"),
    ("nested deeply", b"[" * 60_000, 400, "the body is not JSON"),
    ("two documents", GOOD + GOOD, 400, "the body is not JSON"),
    ("no UTF-8", b'{"inputs": "\xff\xfe"}', 400, "the body is not JSON"),
    ("no inputs", b"{}", 400, "expected 'inputs' to be a list of tensors"),
    ("no tensor", b'{"inputs": []}', 400, "input 'features' is missing"),
    ("unknown tensor", tensor(name="nope"), 400, "unknown input 'nope'; the model takes: features"),
    ("twice", json.dumps({"inputs": [TENSOR, TENSOR]}).encode(), 400, "input 'features' is given twice"),
    ("another width", tensor(shape=[1, 3]), 400, "input 'features': expected shape [any, 4], got [1, 3]"),
    ("too few values", tensor(shape=[2, 4]), 400, "shape [2, 4] needs 8 values, got 4"),
    ("negative rows", tensor(shape=[-1, 4]), 400, "expected shape [any, 4], got [-1, 4]"),
    ("a shape that overflows", tensor(shape=[2**62, 4]), 400, "is too large"),
    ("a shape of floats", tensor(shape=[1.0, 4]), 400, "expected shape [any, 4], got [1.0, 4]"),
    ("another datatype", tensor(datatype="INT64"), 400, "expected datatype FP32, got 'INT64'"),
    ("no datatype", tensor(datatype="FLOAT"), 400, "expected datatype FP32, got 'FLOAT'"),
    ("NaN", GOOD.replace(b"5.1", b"NaN"), 400, "JSON has no NaN or Infinity"),
    ("Infinity", GOOD.replace(b"5.1", b"Infinity"), 400, "JSON has no NaN or Infinity"),
    ("null", GOOD.replace(b"5.1", b"null"), 400, "expected numbers for FP32, got null"),
    ("out of range", GOOD.replace(b"5.1", b"1e39"), 400, "a number is out of the range of FP32"),
    ("strings", tensor(data=["a"] * 4), 400, "expected numbers for FP32, got strings"),
    ("booleans", tensor(data=[True] * 4), 400, "expected numbers for FP32, got true or false"),
    ("ragged", tensor(data=[[1, 2], [3]]), 400, "the data are nested unevenly"),
    ("over the limit", b" " * (MAX_BODY + 1), 413, f"the body is larger than {MAX_BODY} bytes"),
]


@pytest.mark.parametrize(("body", "status", "said"), [c[1:] for c in BAD_BODIES], ids=[c[0] for c in BAD_BODIES])
def test_a_bad_request_is_told_what_is_wrong(server: Served, body: bytes, status: int, said: str) -> None:
    got, answer = server.ask("POST", INFER, body)
    assert (got, said in json.loads(answer)["error"]) == (status, True), answer
    assert server.works()


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "said"),
    [
        ("POST", "/v2/models/nope/infer", GOOD, {}, 404, "no model 'nope'; there are: flowers"),
        ("POST", "/v2/models/flowers/versions/9/infer", GOOD, {}, 404, "no version '9' of model 'flowers'"),
        ("GET", "/no/such/path", None, {}, 404, "there is nothing at '/no/such/path'"),
        ("GET", INFER, None, {}, 405, "GET is not allowed here; allowed: POST"),
        ("PUT", INFER, GOOD, {}, 405, "PUT is not allowed here; allowed: POST"),
        ("DELETE", "/v2", None, {}, 405, "DELETE is not allowed here; allowed: GET, HEAD"),
        ("POST", "/predict", json.dumps(ROW).encode(), {}, 400, "expected each row to be a list"),
        ("POST", "/predict", b'{"rows": []}', {}, 400, "expected at least one row"),
        ("POST", "/predict", b'{"rows": [[1, 2]]}', {}, 400, "expected shape [any, 4], got [1, 2]"),
        ("POST", INFER, GOOD, {"Content_Encoding": "br"}, 415, "Content-Encoding 'br' is not supported"),
        ("POST", INFER, GOOD, {"Content_Encoding": "gzip"}, 400, "the body is not gzip"),
        ("POST", INFER, GOOD, {"X_Request_Timeout": "-1"}, 400, "X-Request-Timeout: expected seconds"),
        ("POST", INFER, GOOD, {"Inference_Header_Content_Length": "-1"}, 400, "Inference-Header-Content-Length: exp"),
        ("POST", INFER, GOOD, {"Inference_Header_Content_Length": "999999"}, 400, "the size of the body"),
    ],
)
def test_wrong_paths_methods_and_headers_are_named(
    server: Served, method: str, path: str, body: bytes | None, headers: dict[str, str], status: int, said: str
) -> None:
    got, answer = server.ask(method, path, body, **headers)
    assert (got, said in json.loads(answer)["error"]) == (status, True), answer
    assert server.works()


def test_a_gzip_bomb_is_never_unpacked(server: Served) -> None:
    import gzip

    body = gzip.compress(b" " * 20_000_000)
    status, answer = server.ask("POST", INFER, body, Content_Encoding="gzip")
    assert (status, "the decompressed body is larger" in json.loads(answer)["error"]) == (413, True)


def post(body: bytes, *headers: bytes) -> bytes:
    lines = (b"POST " + INFER.encode() + b" HTTP/1.1", b"Host: x", b"Connection: close", *headers)
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunked(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x00\xff\x00\xff\r\n\r\n", 400),
        (b"hello\r\n\r\n", 400),
        (post(GOOD, b"Content-Length: +232"), 400),
        (post(GOOD, b"Content-Length: -1"), 400),
        (post(GOOD, b"Content-Length: 5", b"Content-Length: 6"), 400),
        (post(chunked(GOOD), b"Content-Length: 5", b"Transfer-Encoding: chunked"), 400),
        (post(b"zz\r\nabc\r\n0\r\n\r\n", b"Transfer-Encoding: chunked"), 400),
        (post(GOOD, b"Transfer-Encoding: xchunked"), 400),
        (post(b"", b"Content-Length: 1000000000"), 413),
        (post(GOOD, b"X-Request-Id: a\nEvil: b", b"Content-Length: %d" % len(GOOD)), 400),
    ],
)
def test_what_is_hardly_http_is_refused_and_the_connection_closed(server: Served, sent: bytes, status: int) -> None:
    head, _, body = server.send(sent).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert "error" in json.loads(body)
    assert server.works()


def test_requests_sent_in_one_go_are_answered_each_by_itself_and_in_order(server: Served) -> None:
    length = b"Content-Length: %d" % len(GOOD)
    keep = post(GOOD, length).replace(b"Connection: close\r\n", b"")
    too_large = post(b" " * (MAX_BODY + 1), b"Content-Length: %d" % (MAX_BODY + 1)).replace(
        b"Connection: close\r\n", b""
    )
    answers = server.send(keep + keep.replace(b"/infer", b"/nope") + too_large + keep + post(GOOD, length))
    assert re.findall(rb"HTTP/1\.1 (\d+)", answers) == [b"200", b"404", b"413", b"200", b"200"]


def test_a_slow_client_is_answered_and_a_lost_one_forgotten(server: Served) -> None:
    whole = post(GOOD, b"Content-Length: %d" % len(GOOD))
    with socket.create_connection(("127.0.0.1", server.port)) as lost:
        lost.sendall(whole[:-20])
    assert server.send(*(whole[at : at + 1] for at in range(len(whole)))).startswith(b"HTTP/1.1 200 ")
    end = time.monotonic() + 10
    while b'snooze_in_flight{model="flowers",version="1"} 0' not in server.ask("GET", "/metrics")[1]:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_an_id_that_is_too_long_or_no_id_is_not_echoed(server: Served) -> None:
    for value in (b"a" * 20_000, b"\xfc", b""):
        answer = server.send(post(GOOD, b"X-Request-Id: " + value, b"Content-Length: %d" % len(GOOD)))
        head = answer.partition(b"\r\n\r\n")[0]
        assert head.startswith(b"HTTP/1.1 200 ")
        assert re.search(rb"x-request-id: [0-9a-f]+-\d+", head)


# The server: its end


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("delay", [0.0, 0.03, 0.08, 0.2, 0.4])
def test_a_signal_at_any_moment_of_a_start_ends_it_quietly(work: Path, number: signal.Signals, delay: float) -> None:
    """From the moment it listens, which is before it imports anything large."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [*SNOOZE, "serve", "models", "--port", str(port)]
    with subprocess.Popen(command, cwd=work, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        until_it_listens(port)
        time.sleep(delay)
        process.send_signal(number)
        assert process.wait(20) in (0, 130)
        assert "Traceback" not in process.stderr.read()


def until_it_listens(port: int) -> None:
    """Wait without connecting: a client would be waited for."""
    wanted = f":{port:04X} 00000000:0000 0A"
    end = time.monotonic() + 20
    while wanted not in Path("/proc/net/tcp").read_text():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("delay", [0.0, 0.05, 0.15])
def test_a_signal_while_a_sleeping_service_wakes_leaves_no_child(
    work: Path, number: signal.Signals, delay: float
) -> None:
    with serving(work / "models", "--idle", "60s") as server:
        with socket.create_connection(("127.0.0.1", server.port)):
            end = time.monotonic() + 10
            while not (woken := children(server.process.pid)):
                assert time.monotonic() < end
                time.sleep(0.005)
            time.sleep(delay)
            server.process.send_signal(number)
            assert server.process.wait(20) == 0
        assert not any(Path(f"/proc/{child}").exists() for child in woken)


def test_a_sleeping_service_answers_a_hundred_who_come_at_once(work: Path) -> None:
    with serving(work / "models", "--idle", "60s") as server, ThreadPoolExecutor(100) as pool:
        assert all(pool.map(lambda _: server.works(), range(100)))


def test_nothing_is_lost_while_a_service_goes_to_sleep(work: Path) -> None:
    """Requests come just before, when and just after the server decides that it is idle."""
    with serving(work / "models", "--idle", "200ms") as server:
        for step in range(12):
            assert server.works()
            time.sleep(0.17 + step * 0.01)
        assert server.log.read_text().count("woke") > 1


# The other commands


@contextmanager
def page() -> Iterator[str]:
    """A web server that knows nothing of models."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from threading import Thread

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>hello</html>")

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def free_url() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def test_predict_says_that_nobody_answers_or_somebody_else_does(work: Path) -> None:
    away = free_url()
    assert_refused(snooze(work, "predict", away, "--row", GIVEN_ROW), f"{away}/v2: Connection refused; is the server")
    with page() as url:
        assert_refused(snooze(work, "predict", url, "--row", GIVEN_ROW), f"{url}/v2: the answer is not JSON")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give rows, either with --row 1,2,3 or with --data FILE"),
        (["--row", "1,2"], "input 'features': expected shape [any, 4], got [1, 2]"),
        (["--row", "1,2,3,a"], "input 'features': expected numbers for FP32"),
        (["--data", "no-such.npz"], "no-such.npz: No such file or directory"),
        (["--data", "rows.parquet"], "rows.parquet: cannot be read: .parquet is not one of"),
        (["--data", "narrow.npz"], "input 'features': expected shape [any, 4], got [60, 3]"),
        (["--data", "none.npz"], "expected at least one row"),
        (["--row", GIVEN_ROW, "--version", "9"], "no version 9 of 'flowers'; available: 1"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_predict_names_what_does_not_fit(work: Path, arguments: Sequence[str], said: str) -> None:
    assert_refused(snooze(work, "predict", "models/flowers", *arguments), said)


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        (["size", "good.joblib", "--rps", "1"], "good.joblib is not a bundle", 2),
        (["size", "models", "--rps", "0"], "--rps: expected a rate above 0 and up to 1e+09, got 0", 2),
        (["size", "models", "--rps=-1"], "--rps: expected a rate above 0 and up to 1e+09, got -1", 2),
        (["size", "models", "--rps", "nan"], "--rps: expected a rate above 0 and up to 1e+09, got nan", 2),
        (["size", "models", "--rps", "1", "--rows", "0"], "--rows: expected at least 1, got 0", 2),
        (["size", "models", "--rps", "1", "--p99", "0.0001ms"], "gate p99: 0.0001 ms was asked for", 1),
        (["deploy", "models", "--image", "EXAMPLE.com/A:1"], "'EXAMPLE.com/A:1' is no image reference", 2),
        (["deploy", "models", "--image", " "], "' ' is no image reference", 2),
        (["deploy", "models", "--image", "ab:1", "--name", "a" * 64], "has 64 characters, at most", 2),
        (["deploy", "models", "--image", "ab:1", "--env", "PORT=1"], "Knative sets PORT itself; remove it", 2),
        (["deploy", "models", "--image", "ab:1", "--output", "/no/such/x.yaml"], "cannot write /no/such/x.yaml", 2),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else None,
)
def test_silly_loads_and_names_are_refused(work: Path, arguments: list[str], said: str, code: int) -> None:
    assert_refused(snooze(work, *arguments), said, code)
    assert not list(work.glob("*.yaml"))


def test_a_load_that_cannot_be_offered_is_refused(work: Path, server: Served) -> None:
    away, url = free_url(), f"http://127.0.0.1:{server.port}"
    for arguments, said in [
        ([away], f"cannot reach {away}: Connection refused"),
        ([url, "--model", "nope"], "serves no model 'nope'; there are: flowers"),
        ([url, "--rps", "0"], "--rps: expected a number above zero"),
        ([url, "--rps", "nan"], "--rps: expected a number above zero"),
        ([url, "--data", "narrow.npz"], "narrow.npz: input 'features'"),
    ]:
        assert_refused(snooze(work, "bench", "load", *arguments), said)
    assert list(scratch(work).iterdir()) == []


def test_ctrl_c_ends_a_load_and_its_generator(work: Path, server: Served) -> None:
    environ = {**os.environ, "TMPDIR": str(scratch(work))}
    command = [*SNOOZE, "bench", "load", f"http://127.0.0.1:{server.port}", "--duration", "60s"]
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        end = time.monotonic() + 20
        while not (generator := children(process.pid)):
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert process.stderr.read() == ""
    assert not any(Path(f"/proc/{child}").exists() for child in generator)
    assert list(scratch(work).iterdir()) == []
