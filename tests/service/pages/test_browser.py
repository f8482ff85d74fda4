"""What people do on the page at `/`, in a real browser and with a real server."""

import json
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from ast import literal_eval
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from onnx import helper
from tests.service.conftest import Graph, Running, StartServer, classifier, identity, publish
from tests.service.pages.browser import Browser, read_axe, start

from snooze.bundle.contract import Tensor

pytestmark = pytest.mark.process

EVIL = '<img src=x onerror="window.hacked=1">\'&'
TEXT = 'It\'s a <b>wide</b>\nriver, "ü" \\ $HOME'
PHONE = 360
FORMS = ("?model=flower", "?model=words", "?model=light", "?model=numbers")
PAGES = ("", *FORMS, "?model=nothing", "docs")
TENSORS = [Tensor("label", "INT64", (-1,), "label"), Tensor("probabilities", "FP32", (-1, 2), "scores")]


def decide(nodes: list[Any], inputs: list[Tensor], golden: dict[str, Any], **weights: Any) -> Graph:
    """Return a classifier of two classes; `nodes` make `yes`, the probability of the second, of shape [-1, 1]."""
    nodes = [
        *nodes,
        helper.make_node("Sub", ["one", "yes"], ["no"]),
        helper.make_node("Concat", ["no", "yes"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0),
    ]
    weights["one"] = np.float32(1)
    return Graph(nodes, inputs, TENSORS, golden, {name: np.asarray(value) for name, value in weights.items()})


def flowers() -> Graph:
    """A row of a table: red ones, and those longer than 5, are roses."""
    nodes = [
        helper.make_node("Sub", ["petal_length", "five"], ["longer"]),
        helper.make_node("Equal", ["colour", "red"], ["is_red"]),
        helper.make_node("Cast", ["is_red"], ["redness"], to=1),
        helper.make_node("Mul", ["redness", "ten"], ["much"]),
        helper.make_node("Add", ["longer", "much"], ["sum"]),
        helper.make_node("Sigmoid", ["sum"], ["yes"]),
    ]
    inputs = [Tensor("petal_length", "FP32", (-1, 1)), Tensor("colour", "BYTES", (-1, 1))]
    golden = {"petal_length": np.array([[1], [8]], np.float32), "colour": np.array([["red"], ["blue"]], object)}
    return decide(nodes, inputs, golden, red=np.array("red", object), five=np.float32(5), ten=np.float32(10))


def words() -> Graph:
    """A text: one that names a river is about water."""
    nodes = [
        helper.make_node("RegexFullMatch", ["text"], ["matches"], pattern="(?s).*river.*"),
        helper.make_node("Cast", ["matches"], ["number"], to=1),
        helper.make_node("Unsqueeze", ["number", "axes"], ["yes"]),
    ]
    golden = {"text": np.array(["a river", "a book"], object)}
    return decide(nodes, [Tensor("text", "BYTES", (-1,))], golden, axes=np.array([1]))


def light() -> Graph:
    """A grey picture of 8 x 8 pixels: its mean value from 0 to 1 is the probability that it is bright."""
    nodes = [
        helper.make_node("Flatten", ["pixels"], ["flat"]),
        helper.make_node("ReduceMean", ["flat", "axes"], ["yes"], keepdims=1),
    ]
    golden = {"pixels": np.stack([np.zeros((8, 8, 1), np.float32), np.ones((8, 8, 1), np.float32)])}
    return decide(nodes, [Tensor("pixels", "FP32", (-1, 8, 8, 1))], golden, axes=np.array([1]))


def html() -> Graph:
    """A model whose names are HTML: a row of a number and a text comes out as it went in."""
    number, text, shown = EVIL, f"{EVIL}2", f"<b>{EVIL}"
    nodes = [helper.make_node("Identity", [number], ["value"]), helper.make_node("Identity", [text], [shown])]
    inputs = [Tensor(number, "FP32", (-1,)), Tensor(text, "BYTES", (-1,))]
    outputs = [Tensor("value", "FP32", (-1,), "value"), Tensor(shown, "BYTES", (-1,))]
    return Graph(nodes, inputs, outputs, {number: np.ones(1, np.float32), text: np.array([EVIL], object)})


def draw(path: Path, grey: int) -> Path:
    """Write a picture of one grey."""
    from PIL import Image

    Image.new("L", (40, 20), grey).save(path)
    return path


def publish_all(root: Path) -> None:
    """Write a model of each kind, one that consists of HTML wherever that is possible, and a broken one."""
    columns: list[dict[str, Any]] = [
        {"name": "petal_length", "type": "number"},
        {"name": "colour", "type": "text", "categories": ["red", "blue", 'it\'s "grey"'], "closed": True},
    ]
    rows = [b'{"petal_length": 1, "colour": "red"}', b'{"petal_length": 8, "colour": "blue"}']
    publish(root, "flower", flowers(), ("daisy", "rose"), adapter={"kind": "table", "columns": columns}, raw=rows)
    adapter: dict[str, Any] = {"kind": "text", "input": "text"}
    publish(root, "words", words(), ("other", "water"), adapter=adapter, raw=[b"a river", b"a book"])
    adapter = {"kind": "image", "input": "pixels", "height": 8, "width": 8, "layout": "NHWC", "channels": "grey"}
    raw = [draw(root.parent / f"{grey}.png", grey).read_bytes() for grey in (0, 255)]
    publish(root, "light", light(), ("dark", "bright"), adapter={**adapter, "scale": 1 / 255}, raw=raw)
    publish(root, "numbers", classifier(12), ("<i>first</i>", "second"))
    columns = [{"name": EVIL, "type": "number"}, {"name": f"{EVIL}2", "type": "text", "categories": [EVIL]}]
    rows = [json.dumps({EVIL: 1, f"{EVIL}2": EVIL}).encode()]
    publish(root, "evil", html(), adapter={"kind": "table", "columns": columns}, raw=rows)
    (publish(root, "broken", identity("FP32")) / "model.onnx").write_bytes(b"<b>nothing</b>")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server of all these models."""
    from tests.service.conftest import start_server as fixture

    pytest.importorskip("PIL")
    root = tmp_path_factory.mktemp("repository") / "models"
    root.mkdir()
    publish_all(root)
    steps = fixture.__wrapped__(tmp_path_factory.mktemp("server"))  # type: ignore[attr-defined]
    begin: StartServer = next(steps)
    running = begin(root, SNOOZE_READY="any", SNOOZE_MAX_BODY="1MiB")
    try:
        running.wait_for("serving")
        yield running
    finally:
        next(steps, None)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with start(tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture(scope="module")
def proxy(server: Running) -> Iterator[str]:
    """The address below which a proxy serves everything of the server: it takes the prefix off each path."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.pass_on(None)

        def do_POST(self) -> None:
            self.pass_on(self.rfile.read(int(self.headers["Content-Length"])))

        def pass_on(self, body: bytes | None) -> None:
            if not self.path.startswith("/team/ml/"):
                self.send_error(404)
                return
            headers = {name: self.headers[name] for name in ("Accept", "Content-Type") if name in self.headers}
            request = urllib.request.Request(server.url + self.path.removeprefix("/team/ml"), body, headers)
            try:
                answer = urllib.request.urlopen(request)
            except urllib.error.HTTPError as error:
                answer = error
            with answer:
                content = answer.read()
                self.send_response(answer.status)
                for name in ("Content-Type", "Content-Security-Policy"):
                    if name in answer.headers:
                        self.send_header(name, answer.headers[name])
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{running.server_port}/team/ml/"
        finally:
            running.shutdown()


def predict(browser: Browser) -> str:
    """Press the button, and return what the page then says."""
    browser.run("document.getElementById('status').replaceChildren()")
    browser.find("button[type=submit]").click()
    browser.wait_for("document.querySelector('#status .headline') || !document.getElementById('problem').hidden")
    return browser.text("#status") or browser.text("#problem")


def prepare(browser: Browser) -> None:
    """Give a form of any kind something to send."""
    if browser.find_all("#picture"):
        browser.find("#another").click()
        browser.wait_for("document.getElementById('preview').naturalWidth == 8")


def test_the_list_leads_to_the_models(browser: Browser, server: Running) -> None:
    browser.open(server.url)

    listed = {one.text.split()[0]: one.text for one in browser.find_all(".models a")}
    assert list(listed) == ["broken", "evil", "flower", "light", "numbers", "words"]
    assert "not ready" in listed["broken"]
    assert "model.onnx" in listed["broken"]
    assert "classification, accuracy 98.1 %" in listed["flower"]
    browser.find_all(".models a")[2].click()
    assert browser.text("h1") == "flower version 1 ready"
    assert browser.driver.title == "flower"
    browser.find(".brand").click()
    assert browser.text("h1") == "Models"


def test_a_row_gets_its_class(browser: Browser, server: Running) -> None:
    browser.open(f"{server.url}/?model=flower")
    browser.fill("#column-0", "4")
    browser.find("#column-1 option[value=blue]").click()

    said = predict(browser)

    assert said.splitlines()[0].startswith("daisy")
    assert "answered in" in said
    assert [row.text.split()[0] for row in browser.find_all(".bars tr")] == ["daisy", "rose"]
    browser.wait_for("document.querySelector('.bars .bar').offsetWidth > 50")
    browser.find("#column-1 option[value=red]").click()
    assert predict(browser).startswith("rose")


def test_the_enter_key_sends_a_row(browser: Browser, server: Running) -> None:
    browser.open(f"{server.url}/?model=flower")
    browser.fill("#column-0", "9\n")

    browser.wait_for("document.querySelector('#status .headline')")
    assert browser.text("#status").startswith("rose")


def test_an_error_is_shown_at_its_field(browser: Browser, server: Running) -> None:
    browser.open(f"{server.url}/?model=flower")
    browser.fill("#column-0", "long")

    said = predict(browser)

    field = browser.find("#column-0")
    assert said == 'expected a number, got "long"'
    assert field.get_attribute("aria-invalid") == "true"
    assert browser.run("return document.activeElement.id") == "column-0"
    assert field.get_attribute("aria-describedby") == "column-0-note problem"
    assert browser.find(".field:has(#column-0) #problem").is_displayed()
    browser.fill("#column-0", "1e999")
    assert "expected a number, got '1e999'" in predict(browser).replace('"', "'")
    browser.fill("#column-0", "1e1")
    assert predict(browser).startswith("rose")
    assert not browser.find("#problem").is_displayed()
    assert field.get_attribute("aria-invalid") is None
    assert field.get_attribute("aria-describedby") == "column-0-note"


def test_another_example_is_drawn(browser: Browser, server: Running) -> None:
    browser.open(f"{server.url}/?model=flower")
    first = browser.run("return document.getElementById('column-0').value")

    assert float(first) == float(first)
    browser.find("#another").click()
    browser.wait_for(f"document.getElementById('column-0').value != '{first}'")
    assert browser.run("return document.getElementById('column-1').value")


def test_a_text_gets_its_class(browser: Browser, server: Running) -> None:
    browser.open(f"{server.url}/?model=words")
    assert browser.run("return document.getElementById('text').value")
    browser.fill("#text", TEXT)

    assert predict(browser).startswith("water")


def test_rows_of_a_model_without_an_adapter_are_json(browser: Browser, server: Running) -> None:
    browser.open(f"{server.url}/?model=numbers")
    assert predict(browser).splitlines()[0].split()[0] in ("<i>first</i>", "second")

    browser.fill("#rows", "[[1, 2]")
    assert predict(browser).startswith("This is not JSON")
    assert browser.find("#rows").get_attribute("aria-invalid") == "true"
    browser.fill("#rows", "[[1, 2]]")
    assert "expected shape" in predict(browser)
    browser.fill("#rows", f"[{[0.5] * 12}, {[0.1] * 12}]")
    assert predict(browser).startswith("2 rows")
    browser.fill("#rows", f'{{"rows": [{[0.5] * 12}, {[0.1] * 12}]}}')
    assert predict(browser).startswith("2 rows")
    assert [title.text.split(":")[0] for title in browser.find_all("#answer h3")] == ["Row 0", "Row 1"]


@pytest.mark.parametrize(("grey", "label"), [(255, "bright"), (0, "dark")])
def test_a_picture_gets_its_class(browser: Browser, server: Running, tmp_path: Path, grey: int, label: str) -> None:
    browser.open(f"{server.url}/?model=light")
    assert predict(browser) == "Choose a picture first."

    browser.find("#picture").send_keys(str(draw(tmp_path / "my picture.png", grey)))
    assert predict(browser).startswith(label)
    assert browser.run("return document.getElementById('preview').naturalWidth") == 40
    assert "my picture.png" in browser.text("#chosen")


def test_a_picture_may_be_dropped(browser: Browser, server: Running, tmp_path: Path) -> None:
    browser.open(f"{server.url}/?model=light")
    content = list(draw(tmp_path / "white.jpg", 255).read_bytes())

    browser.run(
        """const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(arguments[0])], "white.jpg", {type: "image/jpeg"}));
        const drop = new DragEvent("drop", {bubbles: true, cancelable: true, dataTransfer: data});
        document.querySelector(".drop b").dispatchEvent(drop);""",
        content,
    )

    assert predict(browser).startswith("bright")


def test_what_is_no_picture_is_an_error(browser: Browser, server: Running, tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_text("no picture")
    browser.open(f"{server.url}/?model=light")
    browser.find("#picture").send_keys(str(tmp_path / "picture.png"))

    assert predict(browser).startswith("picture")
    assert browser.find("#picture").get_attribute("aria-invalid") == "true"


def test_a_picture_that_is_too_large_is_an_error(browser: Browser, server: Running, tmp_path: Path) -> None:
    (tmp_path / "large.png").write_bytes(bytes(2**21))
    browser.open(f"{server.url}/?model=light")
    browser.find("#picture").send_keys(str(tmp_path / "large.png"))

    assert predict(browser).startswith("the body is larger than 1048576 bytes")


def test_a_server_that_cannot_be_reached_is_an_error(browser: Browser, server: Running) -> None:
    browser.open(f"{server.url}/?model=flower")
    connected = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    browser.driver.execute_cdp_cmd("Network.enable", {})
    browser.driver.execute_cdp_cmd("Network.emulateNetworkConditions", {**connected, "offline": True})
    try:
        assert predict(browser).startswith("The server did not answer")
    finally:
        browser.driver.execute_cdp_cmd("Network.emulateNetworkConditions", connected)
    assert "answered in" in predict(browser)


def test_a_drawn_picture_can_be_tried(browser: Browser, server: Running) -> None:
    browser.open(f"{server.url}/?model=light")
    prepare(browser)

    assert predict(browser).split()[0] in ("bright", "dark")


@pytest.mark.parametrize("model", ["flower", "words", "numbers", "light"])
def test_the_calls_on_the_page_work(browser: Browser, server: Running, tmp_path: Path, model: str) -> None:
    browser.open(f"{server.url}/?model={model}")
    prepare(browser)
    if model == "words":
        browser.fill("#text", TEXT)
    elif model == "flower":
        browser.find("#column-1 option:last-child").click()
    predict(browser)
    expected = json.loads(browser.run("return document.querySelector('details pre').textContent"))["predictions"]

    curl = browser.run("return document.getElementById('curl').textContent")
    done = subprocess.run(["sh", "-ec", curl], cwd=tmp_path, capture_output=True, check=True)
    assert json.loads(done.stdout)["predictions"] == expected
    python = browser.run("return document.getElementById('python').textContent")
    done = subprocess.run([sys.executable, "-c", python], cwd=tmp_path, capture_output=True, check=True)
    assert literal_eval(done.stdout.decode()) == expected


def test_a_call_can_be_copied(browser: Browser, server: Running) -> None:
    browser.open(f"{server.url}/?model=flower")
    permission = {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"], "origin": server.url}
    browser.driver.execute_cdp_cmd("Browser.grantPermissions", permission)
    browser.find("[data-copy=curl]").click()
    browser.wait_for("document.querySelector('[data-copy=curl]').textContent == 'Copied'")

    copied = browser.driver.execute_async_script("navigator.clipboard.readText().then(arguments[0])")
    assert copied == browser.run("return document.getElementById('curl').textContent")


@pytest.mark.parametrize("prefix", [False, True])
@pytest.mark.parametrize("page", PAGES)
def test_asks_no_other_host_and_breaks_no_policy(
    browser: Browser, server: Running, proxy: str, page: str, prefix: bool
) -> None:
    root = proxy if prefix else f"{server.url}/"
    browser.open(root + page)
    if page == "":
        browser.find_all(".models a")[2].click()
        assert browser.text("h1").startswith("flower")
    if page in ("", *FORMS):
        prepare(browser)
        assert "answered in" in predict(browser)
        assert root in browser.run("return document.getElementById('curl').textContent")

    assert [url for url in browser.requests() if not url.startswith((root, f"blob:{root[:16]}"))] == []
    assert [one for one in browser.problems() if "404" not in one] == []


def test_html_in_a_model_is_shown_as_text(browser: Browser, server: Running) -> None:
    for page in ("?model=evil", "?model=broken", "?model=numbers", f"?model={quote(EVIL)}"):
        browser.open(f"{server.url}/{page}")
        if page == "?model=evil":
            assert browser.text("label") == EVIL
            browser.fill("#column-1", EVIL)
            assert "answered in" in predict(browser)
            assert EVIL in browser.text("#answer")
            browser.fill("#column-0", EVIL)
            assert "expected a number" in predict(browser)
        elif page == "?model=numbers":
            predict(browser)
        assert browser.run("return window.hacked") is None
        assert len(browser.find_all("script")) == 1
        assert browser.find_all("img[src=x], main b b, main i") == []
        assert [one for one in browser.problems() if "404" not in one and "400" not in one] == []


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("width", [PHONE, 320, 590])  # 590: a window of 1,180 pixels at 200 %
def test_fits_a_phone_and_a_zoomed_page(browser: Browser, server: Running, page: str, width: int) -> None:
    browser.open(f"{server.url}/{page}", width)
    if page in FORMS:
        prepare(browser)
        predict(browser)

    assert browser.run("return document.documentElement.scrollWidth") <= width
    assert browser.run("return innerWidth") == width  # a page that is too wide would be shown smaller


def test_dark_mode_is_dark(browser: Browser, server: Running) -> None:
    def brightness(selector: str, name: str) -> int:
        found = browser.run(f"return getComputedStyle(document.querySelector('{selector}')).{name}")
        return sum(map(int, re.findall(r"\d+", found)[:3]))

    for dark in (False, True):
        browser.open(f"{server.url}/?model=flower", dark=dark)
        assert (brightness("body", "backgroundColor") < brightness("body", "color")) == dark
        assert (brightness("input", "backgroundColor") < brightness("input", "color")) == dark


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("page", PAGES)
def test_axe_has_no_serious_finding(browser: Browser, server: Running, page: str, dark: bool) -> None:
    axe = read_axe()
    for width in (1200, PHONE):
        browser.open(f"{server.url}/{page}", width, dark)
        assert browser.check_accessibility(axe) == []
        if page in FORMS:
            prepare(browser)
            predict(browser)
            browser.find("summary").click()
            assert browser.check_accessibility(axe) == []


def test_axe_has_no_serious_finding_in_an_error(browser: Browser, server: Running) -> None:
    for dark in (False, True):
        browser.open(f"{server.url}/?model=flower", dark=dark)
        browser.fill("#column-0", "long")
        predict(browser)
        assert browser.check_accessibility(read_axe()) == []


def test_the_keyboard_reaches_everything(browser: Browser, server: Running) -> None:
    from selenium.webdriver import ActionChains, Keys

    browser.open(f"{server.url}/?model=light")
    reached = []
    for _ in range(11):
        ActionChains(browser.driver).send_keys(Keys.TAB).perform()
        reached.append(browser.run("const e = document.activeElement; return e.id || e.className || e.textContent"))

    assert reached[:2] == ["skip", "brand"]
    order = ["picture", "main", "another", "Copy", "curl", "Copy", "python"]
    assert [one for one in reached if one in order] == order


def test_without_javascript_the_page_informs(browser: Browser, server: Running) -> None:
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.open(f"{server.url}/?model=flower")
        assert "The form needs JavaScript" in browser.text("noscript")
        assert "98.1 %" in browser.text(".facts")
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
