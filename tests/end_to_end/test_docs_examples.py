"""The examples of docs/ run: the Python of convert.md, and every exchange of http.md against a server of its model."""

import contextlib
import json
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.end_to_end.pages import CONVERT, HTTP, KNATIVE, code, python_blocks, section, table

from snooze.bundle.evidence import read_profile
from snooze.bundle.store import find
from snooze.knative.manifest.options import Options
from snooze.knative.manifest.reasons import explain
from snooze.knative.manifest.service import build
from snooze.knative.sizing.size import size
from snooze.service.app import ROUTES

pytestmark = [pytest.mark.process, pytest.mark.framework]

HEADERS_OF_ANY_SERVER = {"date", "content-type", "content-length", "allow", "vary"}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository that the example of convert.md creates."""
    folder = tmp_path_factory.mktemp("docs")
    (example,) = python_blocks(CONVERT)
    run: Callable[..., None] = exec
    with contextlib.chdir(folder):
        run(example, {})
    return folder / "models"


@pytest.fixture(scope="module")
def url(models: Path) -> Iterator[str]:
    """The URL of a server of that repository."""
    command = [sys.executable, "-m", "snooze.cli", "serve", str(models), "--port", "0", "--allow-load"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            found = re.search(r"http://\S+", server.stderr.readline())
            assert found
            yield found[0]
        finally:
            server.terminate()


def ask(url: str, method: str, body: str, media: str = "") -> tuple[Any, set[str]]:
    """Return the answer of a server, also of an error, and the names of its headers."""
    headers = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"} | ({"Content-Type": media} if media else {})
    request = urllib.request.Request(url, body.encode() or None, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer), {name.lower() for name in answer.headers}
    except urllib.error.HTTPError as error:
        with error:
            return json.load(error), {name.lower() for name in error.headers}


def is_close(got: Any, shown: Any) -> bool:
    """Return whether two documents are equal, except for the last digits of floats."""
    if isinstance(shown, dict) and isinstance(got, dict):
        return got.keys() == shown.keys() and all(is_close(got[key], shown[key]) for key in shown)
    if isinstance(shown, list) and isinstance(got, list):
        return len(got) == len(shown) and all(map(is_close, got, shown))
    return bool(got == (pytest.approx(shown, rel=1e-3) if isinstance(shown, float) else shown))


EXCHANGES = re.findall(
    r"```http\n(\w+) (\S+)\n(?:Content-Type: (\S+)\n)?\n*(.*?)```\n\n```json\n(.*?)```", HTTP, re.DOTALL
)


@pytest.mark.parametrize(("method", "path", "media", "body", "shown"), EXCHANGES)
def test_the_examples_of_http_are_answered_as_shown(
    url: str, method: str, path: str, media: str, body: str, shown: str
) -> None:
    got, headers = ask(url + path, method, body, media)

    assert is_close(got, json.loads(shown)), got
    documented = {name.lower() for row in table(section(HTTP, "## Headers")) for name in code(row[0])}
    assert headers - {"connection"} <= documented | HEADERS_OF_ANY_SERVER


@pytest.mark.parametrize("example", python_blocks(HTTP), ids=("infer", "load"))
def test_the_client_of_triton_runs_as_shown(url: str, example: str) -> None:
    pytest.importorskip("tritonclient.http")
    run: Callable[..., None] = exec

    run(example.replace("127.0.0.1:8080", url.removeprefix("http://")), {})


def test_every_route_is_documented() -> None:
    rows = table(HTTP.split("\n## infer\n")[0])
    assert {path for row in rows for path in code(row[1])} == {route.path for route in ROUTES}


def test_every_explained_field_of_a_manifest_is_documented(models: Path) -> None:
    bundle = find(models)[0].bundle
    needed = size(bundle, read_profile(bundle), 50)
    options = Options(image="example.com/iris:1", name="iris", scratch=True, retention=60.0)
    annotations = build(bundle, "sha256:0", needed, options)["spec"]["template"]["metadata"]["annotations"]
    page = section(KNATIVE, "## Fields of the manifest")

    for name in (*annotations, *(str(path[-1]) for path in explain(needed, options))):
        short = {"env": "SNOOZE_MAX_BODY", "name": "metadata.name"}.get(name, name.rpartition("/")[2])
        assert re.search(rf"\b{re.escape(short)}\b", page), f"{name} is not explained"
