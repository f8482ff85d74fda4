import json
import re
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from tests.end_to_end.pages import PAGES, section
from tests.service.aliases.conftest import CLASSIFY, TOPICS, Serve, topics, write_aliases, write_form
from tests.service.conftest import COLOURS, DEADLINE, Client, StartServer, colours, picture, publish, publish_adapted

from snooze.service import Settings, create_app
from snooze.service.errors import InvalidAliases

RIVER = "where does the Rhine end"


@pytest.mark.parametrize(
    ("alias", "problem"),
    [
        (TOPICS | {"model": "topics"}, "there is no model 'topics'; available: person, photo, sum, topic, tumour"),
        (TOPICS | {"version": 2}, "there is no version 2 of model 'topic'; available: 1"),
        (TOPICS | {"answer": "score"}, "answer: model 'topic' version 1 has no 'score'; expected one of: input, label"),
        (
            TOPICS | {"answer": {"$each": {"$output": "y"}}},
            "answer: model 'topic' version 1 has no 'y'; expected one of: label",
        ),
    ],
)
def test_an_alias_that_does_not_fit_stops_the_start(serve: Serve, tmp_path: Path, alias: Any, problem: str) -> None:
    with pytest.raises(InvalidAliases) as caught:
        serve(topic=alias)

    assert str(caught.value) == f"{tmp_path / 'aliases.json'}: alias '/topic': {problem}"


def test_an_alias_follows_the_default_version_or_stays_with_its_own(tmp_path: Path) -> None:
    for labels in (("other", "river"), ("rest", "stream")):
        publish(tmp_path, "topic", topics(), labels=labels)
    write_aliases(
        tmp_path, new=TOPICS | {"answer": ["label", "version"]}, old=TOPICS | {"answer": "label", "version": 1}
    )
    client = Client(create_app(Settings(models=(tmp_path,), log="off")))

    assert client.post("/new", {"rawtext_list": RIVER}).json() == ["stream", 2]
    assert client.post("/old", {"rawtext_list": RIVER}).json() == "river"


def test_predict_may_be_an_alias(serve: Serve, tmp_path: Path) -> None:
    several = serve(predict=TOPICS)
    publish(tmp_path / "one", "topic", topics(), labels=("other", "river"))
    write_aliases(tmp_path / "one", predict=TOPICS)
    alone = Client(create_app(Settings(models=(tmp_path / "one",), log="off")))

    for client in (several, alone):
        assert client.post("/predict", {"rawtext_list": RIVER}).json() == {"input": RIVER, "output": "river"}
        assert client.post("/models/topic/predict", [RIVER]).json()["predictions"] == [{"label": "river"}]


def test_a_model_that_cannot_be_loaded_is_503(tmp_path: Path) -> None:
    for name in ("topic", "broken"):
        folder = publish(tmp_path, name, topics(), labels=("other", "river"))
    (folder / "model.onnx").write_bytes(b"changed")
    write_aliases(tmp_path, topic=TOPICS, broken=TOPICS | {"model": "broken", "answer": "unknown"})
    client = Client(create_app(Settings(models=(tmp_path,), ready="any", log="off")))

    answer = client.post("/broken", {"rawtext_list": RIVER})
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert "was changed after the bundle was written" in answer.error
    assert client.post("/topic", {"rawtext_list": RIVER}).status == 200


def test_aliases_count_as_predictions_of_their_model(serve: Serve) -> None:
    client = serve(topic=TOPICS)
    client.post("/topic", {"rawtext_list": RIVER})
    client.post("/models/topic/predict", [RIVER])
    client.post("/topic", {})

    metrics = client.ask("GET", "/metrics").body.decode()
    assert 'snooze_requests_total{model="topic",version="1",protocol="plain",code="200"} 2\n' in metrics
    assert 'snooze_requests_total{model="topic",version="1",protocol="plain",code="400"} 1\n' in metrics
    assert 'snooze_in_flight{model="topic",version="1"} 0\n' in metrics


@pytest.mark.process
def test_old_clients_go_on_unchanged(start_server: StartServer, models: Path, tmp_path: Path) -> None:
    """Over the direct path of a real server, and over ASGI, which a chunked body takes."""
    write_aliases(tmp_path, predict_topic=TOPICS, classify=CLASSIFY)
    server = start_server(models, SNOOZE_ALIASES=str(tmp_path / "aliases.json"))
    server.wait_for("serving")
    expected = {"input": [RIVER, "who"], "output": ["river", "other"]}

    assert server.post("/predict_topic", {"rawtext_list": [RIVER, "who"]}) == expected
    form = urlencode({"rawtext_list": [RIVER, "who"]}, doseq=True).encode()
    with urllib.request.urlopen(server.url + "/predict_topic", form, DEADLINE) as answer:
        assert json.load(answer) == expected
    parts = iter([b'{"rawtext_list": ["%s",' % RIVER.encode(), b'"who"]}'])
    chunked = urllib.request.Request(server.url + "/predict_topic", parts, {"Content-Type": "application/json"})
    with urllib.request.urlopen(chunked, timeout=DEADLINE) as answer:
        assert json.load(answer) == expected
    form = write_form("image", picture((200, 10, 10), "JPEG"))
    headers = {"Content-Type": "multipart/form-data; boundary=cut"}
    upload = urllib.request.Request(server.url + "/classify", form, headers)
    with urllib.request.urlopen(upload, timeout=DEADLINE) as answer:
        assert json.load(answer) == {"class": "red"}
    with pytest.raises(urllib.error.HTTPError, match="405"):
        urllib.request.urlopen(server.url + "/predict_topic", timeout=DEADLINE)
    assert server.stop() == 0


@pytest.mark.process
@pytest.mark.parametrize("idle", [[], ["--idle", "60s"]])
def test_a_wrong_alias_stops_the_start(models: Path, tmp_path: Path, idle: list[str]) -> None:
    write_aliases(tmp_path, topic=TOPICS | {"model": "topics"})
    command = [sys.executable, "-m", "snooze.cli", "serve", str(models), "--port", "0", "--aliases", "aliases.json"]
    done = subprocess.run([*command, *idle], cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE)

    problem = "alias '/topic': there is no model 'topics'; available: person, photo, sum, topic, tumour"
    assert (done.returncode, done.stderr) == (2, f"snooze: {tmp_path / 'aliases.json'}: {problem}\n")


def test_the_example_of_the_documentation_works(tmp_path: Path) -> None:
    aliases, *exchange = re.findall(
        r"```json\n(.*?)```|```http\nPOST (\S+)\n\n(.*?)```", section(PAGES["docs/serving.md"], "## Aliases"), re.DOTALL
    )
    publish(tmp_path, "topic", topics(), labels=("other", "river"))
    publish_adapted(tmp_path, "photo", colours(), COLOURS, ("cat", "dog", "bird"))
    (tmp_path / "aliases.json").write_text(aliases[0])
    client = Client(create_app(Settings(models=(tmp_path,), log="off")))
    (_, path, body), (shown, _, _) = exchange

    assert client.ask("POST", path, body.encode()).json() == json.loads(shown)
    form = write_form("image", picture((10, 200, 10)))
    answer = client.ask("POST", "/classify", form, content_type="multipart/form-data; boundary=cut")
    assert answer.json() == {"class": "dog"}
