from pathlib import Path
from typing import Any

import pytest
from tests.service.aliases.conftest import TOPICS, Serve, write_aliases
from tests.service.conftest import identity, publish
from tests.service.test_endpoint import HOSTILE_JSON
from tests.service.test_endpoint import ask as measure

from snooze.bundle.contract import Datatype
from snooze.bundle.limits import MEMORY_FACTOR
from snooze.service import Settings, create_app

RIVER = "where does the Rhine end"
FORM = "application/x-www-form-urlencoded"
ROW = [0.5, 1.5, 2.5]


def test_a_list_is_answered_with_lists(serve: Serve) -> None:
    answer = serve(predict_topic=TOPICS).post("/predict_topic", {"rawtext_list": [RIVER, "who"], "user": 7})

    assert answer.body == b'{"input":["%s","who"],"output":["river","other"]}' % RIVER.encode()
    assert answer.headers["content-type"] == "application/json"
    assert (answer.headers["snooze-model"], answer.headers["snooze-version"]) == ("topic", "1")


def test_a_single_row_is_answered_alone(serve: Serve) -> None:
    client = serve(topic=TOPICS)

    assert client.post("/topic", {"rawtext_list": RIVER}).json() == {"input": RIVER, "output": "river"}
    assert client.post("/topic", {"rawtext_list": [RIVER]}).json() == {"input": [RIVER], "output": ["river"]}


def test_an_answer_may_hold_a_list_of_objects_constants_and_outputs(serve: Serve) -> None:
    each = {"$each": {"label": "label", "score": "confidence", "of": "model"}}
    answer = {"success": {"$const": True}, "predictions": each, "class": [{"$output": "label"}], "by": "version"}
    client = serve(tumour={"model": "tumour", "input": "x", "answer": answer})
    plain = client.post("/models/tumour/predict", [ROW, [-1, 2, 0]]).json()["predictions"]
    expected = [{"label": one["label"], "score": one["confidence"], "of": "tumour"} for one in plain]
    numbers = [["malignant", "benign"].index(one["label"]) for one in plain]

    listed = client.post("/tumour", {"x": [ROW, [-1, 2, 0]]}).json()
    assert listed == {"success": True, "predictions": expected, "class": [numbers], "by": 1}
    alone = client.post("/tumour", {"x": ROW}).json()
    assert alone == {"success": True, "predictions": expected[:1], "class": numbers[:1], "by": 1}


def test_echoes_the_rows_of_many_in_their_order(serve: Serve) -> None:
    """More than are written at once."""
    client = serve(sum={"model": "sum", "input": "x", "answer": {"in": "input", "all": {"$each": ["input", "value"]}}})
    rows = [[i, 0, 0] for i in range(2500)]

    answer = client.post("/sum", {"x": rows}).json()
    assert answer == {"in": rows, "all": [[row, row[0]] for row in rows]}


def test_only_post_is_answered(serve: Serve) -> None:
    client = serve(topic=TOPICS)
    for method in ("GET", "HEAD", "PUT", "DELETE"):
        answer = client.ask(method, "/topic")
        assert (answer.status, answer.headers["allow"]) == (405, "POST")


def test_what_json_cannot_say_is_refused_if_it_is_answered(serve: Serve) -> None:
    each = {"$each": {"value": "value"}}
    client = serve(sum={"model": "sum", "answer": each}, n={"model": "sum", "answer": {"$const": "null"}})

    assert client.post("/sum", [[3e38, 3e38, 3e38]]).status == 406
    assert client.post("/n", [[1, 2, 3]]).json() == "null"


def test_a_compressed_body_and_its_limits_are_as_everywhere(serve: Serve) -> None:
    import gzip

    client = serve(topic=TOPICS)
    body = gzip.compress(b'{"rawtext_list": "a"}')

    assert client.ask("POST", "/topic", body, content_encoding="gzip").json()["output"] == "other"
    assert client.ask("POST", "/topic", b"x", content_length=str(2**40)).status == 413
    assert client.post("/topic", {"rawtext_list": "a"}, x_request_timeout="1e-9").status == 504


@pytest.mark.parametrize("datatype", ["BYTES", "FP32", "INT64"])
@pytest.mark.parametrize("answer", ["y", ["input", "y"], {"$each": ["input", "y"]}], ids=str)
def test_memory_is_bounded_whatever_a_body_contains(tmp_path: Path, datatype: Datatype, answer: Any) -> None:
    for name, shape in (("pairs", (-1, 2)), ("values", (-1,))):
        publish(tmp_path, name, identity(datatype, shape))
    write_aliases(tmp_path, **{name: {"model": name, "input": "x", "answer": answer} for name in ("pairs", "values")})
    application = create_app(Settings(models=(tmp_path,), log="off"))
    for what in ("zeros", "empty strings"):  # the first requests import what they need
        measure(application, "/values", b'{"x":%s}' % HOSTILE_JSON[what])
    factors = {}
    for what, data in HOSTILE_JSON.items():
        body = b'{"x":%s}' % data
        response, peak = measure(application, "/pairs" if data.startswith(b"[[") else "/values", body)
        assert response.status in (200, 400), response.body[:200]
        factors[what] = (peak - (2 * len(response.body) if response.status == 200 else 0)) / len(body)

    assert max(factors.values()) <= MEMORY_FACTOR, max(factors.items(), key=lambda item: item[1])
