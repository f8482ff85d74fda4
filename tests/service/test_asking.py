import argparse
import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from tests.service.conftest import StartServer, publish, regressor

from snooze.bundle.errors import NoSuchModel
from snooze.service import asking, cli
from snooze.service.errors import (
    GoldenMismatch,
    InvalidInput,
    InvalidRequest,
    InvalidSetting,
    InvalidTensor,
    NoAnswer,
)

ROW = ",".join(["0.5"] * 30)


def parsed(*arguments: str, command: str = "predict") -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    getattr(cli, f"{command}_arguments")(parser)
    return parser.parse_args(arguments)


def write_npz(path: Path) -> None:
    np.savez(path, x=np.array([[1, 2, 3]], np.float32), y=np.array([0]))


def write_npy(path: Path) -> None:
    np.save(path, np.array([[1, 2, 3]], np.float32))


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("rows.csv", "a,b,c\n1,2,3\n"),
        ("rows.csv", "1,2,3\n"),
        ("rows.json", "[[1, 2, 3]]"),
        ("rows.json", '{"rows": [[1, 2, 3]]}'),
        ("rows.json", '{"instances": [[1, 2, 3]]}'),
        ("rows.npy", write_npy),
        ("rows.npz", write_npz),
    ],
)
def test_a_bundle_answers_rows_of_every_kind_of_file(
    repository: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    write: str | Callable[[Path], None],
) -> None:
    path = tmp_path / name
    if isinstance(write, str):
        path.write_text(write)
    else:
        write(path)

    code = cli.predict(parsed(str(repository / "sum"), "--data", str(path), "--json"))

    assert code == 0
    assert json.loads(capsys.readouterr().out) == {"model": "sum", "version": 1, "predictions": [{"value": 6.0}]}


def test_people_get_a_table(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.predict(parsed(str(repository), "--model", "sum", "--row", "1,2,3", "--row", "1,1,1"))

    assert capsys.readouterr().out == "sum version 1\n  row 0: value 6\n  row 1: value 3\n"


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("rows.txt", "1", "cannot be read: .txt is not one of .csv, .json, .npy, .npz"),
        ("rows.json", "{", "cannot be read: Expecting property name"),
        ("rows.json", '{"a": 1}', 'cannot be read: expected a list of rows or {"rows": [...]}'),
        ("rows.npy", "not numpy", "cannot be read: "),
        ("none.csv", None, "No such file or directory"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, content: str | None, problem: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_text(content)

    with pytest.raises(InvalidInput) as caught:
        asking.rows([], str(path))

    assert str(caught.value).startswith(f"{path}: {problem}")


@pytest.mark.parametrize(("given", "data"), [([], None), (["1"], "rows.csv")])
def test_rows_are_needed_once(given: list[str], data: str | None) -> None:
    with pytest.raises(InvalidInput, match="give rows, either with --row 1,2,3 or with --data FILE"):
        asking.rows(given, data)


def test_a_wrong_width_is_said(repository: Path) -> None:
    with pytest.raises(InvalidTensor, match=r"expected shape \[any, 3\], got \[1, 2\]"):
        cli.predict(parsed(str(repository / "sum"), "--row", "1,2"))


def test_a_repository_of_several_models_needs_a_name(repository: Path) -> None:
    with pytest.raises(NoSuchModel):
        cli.predict(parsed(str(repository), "--row", "1,2"))


def test_a_server_answers_by_every_address(
    start_server: StartServer, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = start_server(repository / "tumour")
    server.wait_for("serving")
    answers = []
    for target in (
        [server.url],
        [f"{server.url}/predict"],
        [server.url, "--model", "tumour"],
        [server.url, "--model", "tumour", "--version", "2"],
        [f"{server.url}/v2/models/tumour"],
        [f"{server.url}/v2/models/tumour/versions/2/infer"],
    ):
        assert cli.predict(parsed(*target, "--row", ROW, "--json")) == 0
        answers.append(json.loads(capsys.readouterr().out))

    assert all(answer == answers[0] for answer in answers)
    with pytest.raises(NoAnswer, match=r"404 no model 'x'; there are: tumour"):
        cli.predict(parsed(server.url, "--model", "x", "--row", ROW))
    with pytest.raises(NoAnswer, match=r"400 input 'features': expected shape \[any, 30\], got \[1, 2\]"):
        cli.predict(parsed(server.url, "--row", "1,2"))


class Other(BaseHTTPRequestHandler):
    """A server of the protocol that is not ours."""

    def do_GET(self) -> None:
        inputs = [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}]
        self._send({"name": "other"} if self.path == "/v2" else {"name": "m", "inputs": inputs})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        output = {"name": "y", "datatype": "FP32", "shape": [1], "data": [sum(asked["inputs"][0]["data"])]}
        self._send({"model_name": "m", "model_version": "1", "outputs": [output]})

    def _send(self, document: Any) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


def test_any_server_of_the_protocol_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    with HTTPServer(("127.0.0.1", 0), Other) as other:
        Thread(target=other.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{other.server_port}"

        cli.predict(parsed(url, "--model", "m", "--row", "1,2"))
        with pytest.raises(InvalidInput, match="say which model with --model NAME"):
            cli.predict(parsed(url, "--row", "1,2"))
        other.shutdown()

    assert capsys.readouterr().out == "m version 1\n  y FP32 [1]: [3]\n"


def test_no_server_is_one_line() -> None:
    with pytest.raises(NoAnswer) as caught:
        asking.of_server("http://127.0.0.1:1", None, None, [[1]], 1.0)

    assert str(caught.value) == "http://127.0.0.1:1/v2: Connection refused; is the server running?"


def test_an_option_is_named_as_it_was_given(tmp_path: Path) -> None:
    publish(tmp_path, "sum", regressor())

    with pytest.raises(InvalidSetting) as caught:
        cli.serve(parsed(str(tmp_path), "--max-body", "much", command="serve"))

    assert str(caught.value) == "--max-body='much': expected a number of bytes such as 16777216 or 16MiB"


def test_a_bundle_says_confidences_as_a_server_does(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.predict(parsed(str(repository / "tumour"), "--row", ROW, "--json"))

    (prediction,) = json.loads(capsys.readouterr().out)["predictions"]
    assert set(prediction) == {"label", "confidence", "probabilities"}


def test_a_bundle_that_is_not_the_golden_one_here_does_not_answer(tmp_path: Path) -> None:
    publish(tmp_path, "sum", regressor(), golden_outputs={"value": np.array([[6], [16]], np.float32)})

    with pytest.raises(GoldenMismatch):
        cli.predict(parsed(str(tmp_path), "--row", "1,2,3"))


def damaged(path: Path, cut: int | None = None, flip: int | None = None) -> None:
    np.savez_compressed(path, x=np.arange(3000, dtype=np.float32).reshape(-1, 3))
    content = bytearray(path.read_bytes())
    if flip is not None:
        content[flip] ^= 0xFF
    path.write_bytes(content[:cut])


def write_complex(path: Path) -> None:
    np.save(path, np.array([[1j]]))


def write_labels(path: Path) -> None:
    np.savez(path, y=np.array([0]))


def write_deep(path: Path) -> None:
    path.write_text("[" * 100_000)


@pytest.mark.parametrize(
    ("name", "write", "problem"),
    [
        ("rows.npy", Path.touch, "cannot be read: No data left in file"),
        ("rows.npz", Path.touch, "cannot be read: No data left in file"),
        ("rows.npz", lambda path: damaged(path, cut=1000), "cannot be read: File is not a zip file"),
        ("rows.npz", lambda path: damaged(path, flip=300), "cannot be read: "),
        ("rows.json", write_deep, "cannot be read: it is nested too deeply"),
        ("rows.csv", lambda path: path.write_text("1" * 200_000), "cannot be read: field larger than field limit"),
        ("rows.npy", write_complex, "cannot be read: array 'rows' holds complex128; expected numbers, texts"),
        ("rows.npz", write_labels, "cannot be read: it holds no arrays but labels"),
    ],
)
def test_a_damaged_file_is_one_line(tmp_path: Path, name: str, write: Callable[[Path], object], problem: str) -> None:
    path = tmp_path / name
    write(path)

    with pytest.raises(InvalidInput) as caught:
        asking.rows([], str(path))

    assert str(caught.value).startswith(f"{path}: {problem}")


def test_an_archive_may_call_itself_an_array(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", np.array([[1, 2, 3]]))
    (tmp_path / "rows.npy").rename(tmp_path / "rows.npz")

    assert asking._as_rows(asking.rows([], str(tmp_path / "rows.npz"))) == [[1, 2, 3]]


def test_arrays_of_different_lengths_are_named(repository: Path, tmp_path: Path) -> None:
    path = tmp_path / "rows.npz"
    np.savez(path, age=np.array([1, 2]), weight=np.array([1]), note=np.array(["a", "b"]))

    with pytest.raises(InvalidInput, match=r"are not one row each for every row: 'age' \[2\], 'weight' \[1\]"):
        cli.predict(parsed(str(repository / "person"), "--data", str(path)))


@pytest.mark.parametrize("version", ["²", "x", "1" * 5000])
def test_a_version_is_a_whole_number(repository: Path, version: str) -> None:
    with pytest.raises(InvalidInput, match="--version: expected a whole number"):
        cli.predict(parsed(str(repository / "sum"), "--row", "1,2,3", "--version", version))


def test_no_time_at_all_is_no_timeout() -> None:
    with pytest.raises(InvalidSetting) as caught:
        cli.predict(parsed("http://127.0.0.1:1", "--row", "1", "--timeout", "0"))

    assert str(caught.value) == "--timeout='0': expected a time above 0, such as 60s or 500ms"


def test_nan_is_sent_elsewhere(repository: Path) -> None:
    with pytest.raises(InvalidRequest) as caught:
        cli.predict(parsed(str(repository / "sum"), "--row", "1,2,nan"))

    assert str(caught.value) == (
        "JSON has no NaN or Infinity (character 17); send the tensor to /v2/models/sum/infer as binary_data"
    )


@pytest.mark.parametrize("url", ["http://a b", "http://127.0.0.1:abc", "http://127.0.0.1\n", "http://[::1"])
def test_what_is_no_address_is_one_line(url: str) -> None:
    with pytest.raises(NoAnswer, match="is no address of a server: "):
        cli.predict(parsed(url, "--row", "1"))


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (b"[1, 2]", "the answer is no JSON object but [1, 2]; is this a model server?"),
        (b"[" * 100_000, "the answer is not JSON: "),
        (b"<html>", "the answer is not JSON: "),
        (b'{"name": "other"}', "does not say which inputs the model takes"),
        (b'{"inputs": [1]}', "does not say which inputs the model takes"),
        (None, "the answer is not HTTP, or not whole: BadStatusLine"),
    ],
)
def test_a_server_of_something_else_is_one_line(said: bytes | None, problem: str) -> None:
    class Stranger(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            head = b"HTTP/1.0 200 OK\r\n\r\n" if said is not None else b"SSH-2.0\r\n"
            self.wfile.write(head + (said or b""))

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Stranger) as stranger:
        Thread(target=stranger.serve_forever, daemon=True).start()
        with pytest.raises(NoAnswer) as caught:
            asking.of_server(f"http://127.0.0.1:{stranger.server_port}", "m", None, [[1]], 5.0)
        stranger.shutdown()

    assert problem in str(caught.value)


def test_an_answer_of_no_known_form_is_shown_as_it_is() -> None:
    assert list(asking.table({"predictions": [1, 2]})) == ['{"predictions": [1, 2]}']
