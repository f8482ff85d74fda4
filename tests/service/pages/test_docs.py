import re
import shlex
import subprocess
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from tests.service.conftest import Client, StartServer, classifier, identity, publish, regressor, two_inputs
from tests.service.pages.browser import Browser, read_axe, start

from snooze.service import Settings, create_app
from snooze.service.pages.docs import render

EVIL = "<script>alert('x')</script>&\"`$(id)`"


@pytest.fixture(scope="module")
def page(client: Client) -> str:
    """The page of every model of the repository."""
    answer = client.ask("GET", "/docs", host="models.example.com")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    return answer.body.decode()


def blocks(page: str) -> list[str]:
    """Return the commands and answers that the page shows."""
    return [unescape(block) for block in re.findall(r"<pre><code>(.*?)</code></pre>", page, re.DOTALL)]


def words_of(command: str) -> list[str]:
    return shlex.split(command.replace("\\\n", ""))


def document_of(operation: Any, path: str = "/x") -> dict[str, Any]:
    operation = {"operationId": "plain.predict.x", "tags": ["x"], "summary": "x", "responses": {}} | operation
    components: dict[str, Any] = {"responses": {}, "headers": {}, "parameters": {}}
    return {"info": {"version": "1"}, "paths": {path: {"post": operation}}, "components": components}


def test_each_path_of_the_document_is_on_the_page(client: Client, page: str) -> None:
    text = unescape(re.sub(r"<wbr>", "", page))

    for path in client.ask("GET", "/openapi.json").json()["paths"]:
        assert f"<code>{path}</code>" in text


def test_links_within_the_page_lead_somewhere_and_others_stay_on_the_server(page: str) -> None:
    anchors = re.findall(r' id="([^"]+)"', page)
    links = re.findall(r'(?:href|src)="([^"]+)"', page)

    assert len(set(anchors)) == len(anchors)
    assert {link[1:] for link in links if link.startswith("#")} <= set(anchors)
    for link in links:  # relative: they also work behind a path prefix
        assert link.startswith("#") or not re.match(r"\w+:|/", link), link


def test_the_policy_allows_nothing_inline_and_the_page_needs_nothing(client: Client, page: str) -> None:
    policy = client.ask("GET", "/docs").headers["content-security-policy"]

    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "<style" not in page
    assert "<script" not in page
    assert not re.search(r"<[^>]+ (style|on\w+)=", page)


@pytest.mark.process
def test_the_commands_work_as_they_are_shown(start_server: StartServer, tmp_path: Path) -> None:
    for name, graph in {"tumour": classifier(), "person": two_inputs(), "words": identity("BYTES", (-1,))}.items():
        publish(tmp_path, name, graph, labels=("it's", EVIL) if name == "tumour" else None)
    server = start_server(tmp_path)
    server.wait_for("serving")
    asked = subprocess.run(["curl", "-sf", f"{server.url}/docs"], capture_output=True, text=True, check=True)
    address, *commands = blocks(asked.stdout)
    assert address == f"URL={server.url}"

    predictions = [
        command for command in commands if command.startswith("curl") and re.search("predict|infer", command)
    ]
    assert len(predictions) >= 9
    for command in predictions:
        # A file is the reader's; several models are not behind `/predict`; V1 has no other verb than predict.
        if "@FILE" not in command and "/models/" in command and ":explain" not in command:
            ran = subprocess.run(
                ["bash", "-c", f"{address}\n{command} --fail-with-body"], capture_output=True, text=True, check=False
            )
            assert ran.returncode == 0, (command, ran.stdout)


def test_the_drawn_answer_is_shown(page: str) -> None:
    shown = [block for block in blocks(page) if '"label": "malignant"' in block and "probabilities" in block]

    assert len(shown) == 2  # of each version
    assert all('"confidence": 0.7' in block for block in shown)


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ({"host": "models.example.com"}, "http://models.example.com"),
        ({"host": "[::1]:8080"}, "http://[::1]:8080"),
        ({"host": "a.example", "x_forwarded_proto": "https"}, "https://a.example"),
        ({"host": "a.example", "x_forwarded_proto": "javascript"}, "http://a.example"),
        ({"host": EVIL}, "http://127.0.0.1:8080"),
        ({"host": "a.example\n"}, "http://127.0.0.1:8080"),
        ({"host": "a.example$(id)"}, "http://127.0.0.1:8080"),
        ({}, "http://127.0.0.1:8080"),
    ],
)
def test_the_address_is_that_by_which_the_client_knows_the_server(client: Client, headers: Any, address: str) -> None:
    assert blocks(client.ask("GET", "/docs", **headers).body.decode())[0] == f"URL={address}"


def test_everything_is_escaped() -> None:
    schema = {
        "type": "object",
        "properties": {EVIL: {"const": EVIL, "description": EVIL}, "b": {"enum": [EVIL]}},
    }
    content = {EVIL: {"schema": schema}, "application/json": {"schema": schema, "examples": {"a": {"value": EVIL}}}}
    parameter = {"name": EVIL, "in": "path", "schema": {"type": "string"}, "description": EVIL}
    document = document_of(
        {
            "operationId": EVIL,
            "tags": [EVIL],
            "summary": EVIL,
            "parameters": [parameter],
            "requestBody": {"content": content},
            "responses": {"200": {"description": EVIL, "content": content}, "400": {"description": EVIL}},
        },
        f"/{EVIL}",
    )
    document["info"]["version"] = EVIL
    document["components"]["responses"] = {"400": {"description": EVIL}}

    html = "".join(render(document))

    assert "<script" not in html
    assert "alert('x')" not in html
    command = next(block for block in blocks(html) if block.startswith("curl"))
    assert words_of(command)[1] == f"$URL/{EVIL}"


@pytest.mark.parametrize(
    ("media", "content", "options"),
    [
        ("text/csv", {"examples": {"a": {"value": "a,b\n1,2\n"}}}, ["--data-binary", "a,b\n1,2\n"]),
        ("image/*", {"schema": {"type": "string", "format": "binary"}}, ["--data-binary", "@FILE"]),
        ("application/json", {"examples": {"a": {"value": ["a" * 10000]}}}, ["--data-binary", "@FILE"]),
    ],
)
def test_every_kind_of_body_has_its_command(media: str, content: Any, options: list[str]) -> None:
    html = "".join(render(document_of({"requestBody": {"content": {media: content}}})))

    words = words_of(next(block for block in blocks(html) if block.startswith("curl")))
    assert words == ["curl", "$URL/x", "-H", f"Content-Type: {media}", *options]


def test_one_command_is_enough_for_every_kind_of_picture() -> None:
    content: Any = {media: {"schema": {"type": "string"}} for media in ("image/png", "image/jpeg", "image/webp")}

    html = "".join(render(document_of({"requestBody": {"content": content}})))

    assert [words_of(block)[3] for block in blocks(html)[1:]] == ["Content-Type: image/png"]


@pytest.mark.parametrize(
    ("media", "options"),
    [
        ("multipart/form-data", ["-F", "image=@FILE"]),
        ("application/x-www-form-urlencoded", ["--data-urlencode", "image=TEXT"]),
    ],
)
def test_a_form_is_sent_by_its_fields(media: str, options: list[str]) -> None:
    fields = {"image": {"type": "string", "format": "binary"}}
    content = {media: {"schema": {"type": "object", "properties": fields}}}

    html = "".join(render(document_of({"requestBody": {"content": content}})))

    assert words_of(blocks(html)[1]) == ["curl", "$URL/x", *options]


def test_the_page_follows_the_models_that_are_loaded(tmp_path: Path) -> None:
    publish(tmp_path, "sum", regressor())
    publish(tmp_path, "flags", identity("BOOL"))
    client = Client(create_app(Settings(models=(tmp_path,), log="off")))
    assert b'id="model-sum"' in client.ask("GET", "/docs").body

    client.app.repository.versions["sum"][1].model = None

    assert b'id="model-sum"' not in client.ask("GET", "/docs").body


def test_the_page_can_be_switched_off(tmp_path: Path) -> None:
    publish(tmp_path, "sum", regressor())
    client = Client(create_app(Settings(models=(tmp_path,), log="off", pages=False)))

    assert client.ask("GET", "/docs").status == 404


def test_the_page_is_compressed_if_asked_for(client: Client, page: str) -> None:
    packed = client.ask("GET", "/docs", accept_encoding="gzip")

    assert packed.headers["content-encoding"] == "gzip"
    assert len(packed.body) < len(page) / 8


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests here."""
    with start(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


def fits(browser: Browser) -> bool:
    """Return whether nothing is wider than the window."""
    return bool(browser.run("return document.documentElement.scrollWidth <= innerWidth"))


@pytest.mark.process
@pytest.mark.parametrize(
    ("width", "dark"), [(1200, False), (1200, True), (360, False), (600, True)], ids=["light", "dark", "phone", "zoom"]
)
def test_the_page_in_a_browser(
    repository: Path, start_server: StartServer, browser: Browser, width: int, dark: bool
) -> None:
    """A width of 600 is what a window of 1200 has at 200 % zoom."""
    server = start_server(repository / "tumour", repository / "person")
    server.wait_for("serving")
    axe = read_axe()

    browser.open(f"{server.url}/docs", width, dark)

    assert browser.text("h1") == "HTTP API"
    assert browser.run("return getComputedStyle(document.querySelector('details')).borderRadius") == "8px"
    assert fits(browser)
    assert browser.check_accessibility(axe) == []
    # By keyboard: the first operation is folded.
    browser.find("summary").send_keys("\n")
    assert not browser.run("return document.querySelector('details').open")
    browser.run("for (const one of document.querySelectorAll('details')) one.open = true")
    assert fits(browser)
    assert browser.check_accessibility(axe) == []
    assert all(url.startswith(server.url) for url in browser.requests())
    assert browser.problems() == []
