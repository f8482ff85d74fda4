from pathlib import Path

import pytest
from tests.service.conftest import Answer, Client, classifier, identity, publish

from snooze.bundle.store import REPORT
from snooze.service import Settings, create_app
from snooze.service.runtime.repository import Repository

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def show(client: Client, query: str = "") -> Answer:
    """Return the page as a browser gets it."""
    return client.ask("GET", f"/?{query}", accept=BROWSER)


def serve(*models: Path, **settings: object) -> Client:
    return Client(create_app(Settings(models=models, log="off", **settings)))  # type: ignore[arg-type]


def test_a_browser_gets_a_page_and_every_other_client_json(client: Client) -> None:
    page = client.ask("GET", "/", accept=BROWSER)

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert b"tumour" in page.body
    for accept in ("*/*", "application/json"):
        answer = client.ask("GET", "/", accept=accept)
        assert answer.json() == {"status": "alive"}
        assert answer.headers["vary"] == page.headers["vary"] == "accept"


def test_pages_can_be_switched_off(tmp_path: Path) -> None:
    publish(tmp_path, "tumour", classifier())
    client = serve(tmp_path, pages=False)

    assert show(client).json() == {"status": "alive"}
    for path in ("/static/style.css", "/models/tumour/example"):
        assert client.ask("GET", path).status == 404
    assert "/static/{file}" not in client.ask("GET", "/openapi.json").json()["paths"]


def test_the_only_model_is_shown_at_once(tmp_path: Path) -> None:
    publish(tmp_path, "tumour", classifier(), labels=("malignant", "benign"))

    page = show(serve(tmp_path)).body.decode()

    assert "<h1>tumour <span" in page
    assert 'data-path="models/tumour/predict"' in page
    assert "All versions" not in page
    assert "report" not in page


def test_several_models_are_a_list(client: Client) -> None:
    page = show(client).body.decode()

    assert '<a href="?model=tumour">' in page
    assert '<a href="?model=sum">' in page
    assert "<form" not in page


def test_each_version_has_a_page(client: Client) -> None:
    newest, first = show(client, "model=tumour").body.decode(), show(client, "model=tumour&version=1").body.decode()

    assert "version 2</span>" in newest
    assert 'data-path="models/tumour/predict"' in newest
    assert 'All versions: <a href="?model=tumour&amp;version=1">1</a>, 2' in newest
    assert "version 1</span>" in first
    assert 'data-path="models/tumour/versions/1/predict"' in first


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("model=other", "There is no model &#x27;other&#x27; here."),
        ("model=%3Cb%3E", "There is no model &#x27;&lt;b&gt;&#x27; here."),
        ("model=tumour&version=3", "There is no version &#x27;3&#x27; of model &#x27;tumour&#x27; here."),
        ("model=tumour&version=01", "There is no version"),
    ],
)
def test_what_is_not_served_is_a_page_of_its_own(client: Client, query: str, said: str) -> None:
    page = show(client, query)

    assert page.status == 404
    assert said in page.body.decode()
    assert '<a href="?model=tumour">' in page.body.decode()


def test_a_model_that_is_not_ready_says_why(tmp_path: Path) -> None:
    publish(tmp_path, "good", identity("FP32"))
    (publish(tmp_path, "tumour", classifier()) / "model.onnx").write_bytes(b"changed")
    client = serve(tmp_path, ready="any")

    for page in (show(client).body.decode(), show(client, "model=tumour").body.decode()):
        assert '<span class="state bad">not ready</span>' in page
        assert "model.onnx" in page
    assert "<form" not in page


def test_the_report_is_linked_where_it_is_served(tmp_path: Path) -> None:
    publish(tmp_path, "tumour", classifier(), labels=("malignant", "benign"), files={REPORT: b"<p>"})

    assert 'href="models/tumour/report"' in show(serve(tmp_path, report=True)).body.decode()
    assert "/report" not in show(serve(tmp_path)).body.decode()


def test_a_model_may_be_unloaded_and_all_removed(tmp_path: Path) -> None:
    publish(tmp_path, "tumour", classifier())
    client = serve(tmp_path, allow_load=True)
    assert client.post("/v2/repository/models/tumour/unload", {}).status == 200

    assert '<p class="problem">unloaded</p>' in show(client).body.decode()

    client.app.replace(Repository([]))
    assert "No model is loaded." in show(client).body.decode()
