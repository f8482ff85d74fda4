import tracemalloc
from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, unquote_to_bytes, urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.service.aliases.conftest import TOPICS, Serve, write_aliases, write_form
from tests.service.conftest import Answer, Client, identity, picture, publish, publish_each_adapter
from tests.service.test_endpoint import ask as measure

from snooze.bundle.contract import Datatype
from snooze.bundle.limits import MEMORY_FACTOR
from snooze.service import Settings, create_app
from snooze.service.aliases.decoding import MAX_FIELDS, unquote
from snooze.service.errors import InvalidAliases

RIVER = "where does the Rhine end"
FORM = "application/x-www-form-urlencoded"
ROW = [0.5, 1.5, 2.5]


def send(client: Client, path: str, fields: Any) -> Answer:
    return client.ask("POST", path, urlencode(fields, doseq=True).encode(), content_type=FORM)


@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        ({"rawtext_list": "ä & ü", "more": "x"}, {"input": "ä & ü", "output": "other"}),
        ({"rawtext_list": [RIVER, ""]}, {"input": [RIVER, ""], "output": ["river", "other"]}),
    ],
)
def test_a_form_is_read(serve: Serve, fields: Any, answer: Any) -> None:
    assert send(serve(topic=TOPICS), "/topic", fields).json() == answer


def test_a_form_holds_numbers_as_json(serve: Serve) -> None:
    client = serve(sum={"model": "sum", "input": "x", "answer": "value"})

    assert send(client, "/sum", {"x": "[1, 2, 3]"}).json() == 6
    assert send(client, "/sum", {"x": ["[1, 2, 3]", "[1, 1, 1]"]}).json() == [6, 3]
    assert send(client, "/sum", {"x": "[[1, 2, 3]]"}).json() == [6]


def test_json_that_is_called_a_form_is_json(serve: Serve) -> None:
    """`curl -d` does so."""
    answer = serve(topic=TOPICS).ask("POST", "/topic", b' {"rawtext_list": "a"}', content_type=FORM)

    assert answer.json() == {"input": "a", "output": "other"}


@pytest.mark.parametrize(
    ("model", "rows", "answer"),
    [
        ("sum", ROW, 4.5),
        ("sum", [ROW, ROW], [4.5, 4.5]),
        ("person", {"age": 1, "weight": 2, "note": "x"}, 3),
        ("person", [{"age": 1, "weight": 2, "note": "x"}], [3]),
    ],
)
@pytest.mark.parametrize("field", [None, "rows", "data"])
def test_tells_a_row_from_a_list_of_rows(serve: Serve, model: str, rows: Any, answer: Any, field: str | None) -> None:
    client = serve(alias={"model": model, "input": field, "answer": {"value": "value"}})

    for body in ({field or "rows": rows}, *([rows] if field is None else [])):
        assert client.post("/alias", body).json() == {"value": answer}


def test_a_long_list_of_numbers_is_read_the_short_way(serve: Serve) -> None:
    client = serve(sum={"model": "sum", "input": "x", "answer": "value"}, bare={"model": "sum", "answer": "value"})
    rows = [[i, 0.5, 0] for i in range(2500)]
    sums = [i + 0.5 for i in range(2500)]

    assert client.post("/sum", {"x": rows, "y": 1}).json() == sums
    assert client.post("/bare", rows).json() == client.post("/bare", {"rows": rows}).json() == sums
    assert client.post("/sum", rows).error == "expected an object with the field 'x'"
    assert client.post("/sum", {"x": [*rows, [1]]}).status == 400


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"rawtext": ["a"]}, "expected an object with the field 'rawtext_list'"),
        (["a"], "expected an object with the field 'rawtext_list'"),
        ({"rawtext_list": []}, "expected at least one row, got an empty list"),
        ({"rawtext_list": None}, "input 'text': expected strings for BYTES, got null"),
        ({"rawtext_list": ["a", 1]}, "input 'text': expected strings for BYTES, got 1"),
    ],
)
def test_says_what_is_wrong_with_a_body(serve: Serve, body: Any, error: str) -> None:
    answer = serve(topic=TOPICS).post("/topic", body)

    assert (answer.status, answer.error) == (400, error)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"text=a", "expected a form with the field 'rawtext_list'"),
        (b"", "expected a form with the field 'rawtext_list'"),
        (b"rawtext_list=%ff", "the form is not UTF-8"),
        (b"rawtext_list=\xff", "the form is not UTF-8"),
    ],
)
def test_says_what_is_wrong_with_a_form(serve: Serve, body: bytes, error: str) -> None:
    answer = serve(topic=TOPICS).ask("POST", "/topic", body, content_type=FORM)

    assert (answer.status, answer.error) == (400, error)


def test_wrong_rows_of_several_inputs_are_named(serve: Serve) -> None:
    answer = serve(person={"model": "person", "answer": "value"}).post("/person", {"age": 1})

    assert (answer.status, answer.error) == (400, "row 0: expected an object with: age, weight, note")


@pytest.mark.parametrize("pair", [b"", b"a", b"x=", b"x=a", b"x=%41", b"%78=%C3%A4", b"=", b"x=+", b"x=[1,2]"])
@pytest.mark.parametrize("datatype", ["BYTES", "FP32"])
def test_memory_of_a_form_is_bounded(tmp_path: Path, datatype: Datatype, pair: bytes) -> None:
    publish(tmp_path, "values", identity(datatype, (-1,)))
    write_aliases(tmp_path, values={"model": "values", "input": "x", "answer": {"$each": ["input", "y"]}})
    application = create_app(Settings(models=(tmp_path,), log="off"))
    body = b"&".join([pair] * (MAX_FIELDS - 1) + [b"z="])
    body += b"a" * (24_000 - len(body))

    response, peak = measure(application, "/values", body, content_type=FORM.encode())
    assert peak - (2 * len(response.body) if response.status == 200 else 0) <= MEMORY_FACTOR * len(body)


def test_a_form_holds_numbers_as_csv(serve: Serve) -> None:
    client = serve(sum={"model": "sum", "input": "x", "answer": ["input", "value"]})

    assert send(client, "/sum", {"x": "1,2,3"}).json() == [[1, 2, 3], 6]
    assert send(client, "/sum", {"x": ["1,2,3", "1,1,1"]}).json() == [[[1, 2, 3], [1, 1, 1]], [6, 3]]
    assert send(client, "/sum", {"x": "1,2,3\r\n1,1,1\r\n"}).json() == [[[1, 2, 3], [1, 1, 1]], [6, 3]]
    wrong = send(client, "/sum", {"x": "1,2"})
    assert (wrong.status, wrong.error) == (400, "row 0: expected 3 fields, got 2")


def test_a_form_holds_objects_as_json(serve: Serve) -> None:
    client = serve(person={"model": "person", "input": "who", "answer": "value"})

    assert send(client, "/person", {"who": '{"age": 1, "weight": 2, "note": "x"}'}).json() == 3
    wrong = send(client, "/person", {"who": "1"})
    assert (wrong.status, wrong.error) == (400, "row 0: expected an object with: age, weight, note")
    wrong = send(client, "/person", {"who": "anna"})
    assert (wrong.status, wrong.error) == (400, "field 'who': expected JSON such as [5.1, 3.5], got 'anna'")


def test_a_form_has_a_limited_number_of_fields(serve: Serve) -> None:
    client = serve(topic=TOPICS)

    assert send(client, "/topic", {"rawtext_list": ["a"] * MAX_FIELDS}).status == 200
    wrong = send(client, "/topic", {"rawtext_list": ["a"] * (MAX_FIELDS + 1)})
    assert (wrong.status, wrong.error) == (400, "expected a form with at most 1024 fields")


def test_true_is_no_number_in_a_form(serve: Serve) -> None:
    answer = serve(sum={"model": "sum", "input": "x", "answer": "value"}).ask(
        "POST", "/sum", b"x=[1,2,tr%75e]", content_type=FORM
    )

    assert (answer.status, answer.error) == (400, "input 'x': expected numbers for FP32, got true")


@given(st.text())
@example("a+b &=%%4%41é\U0001f600")
def test_what_is_quoted_is_read_back(text: str) -> None:
    assert unquote(quote_plus(text.encode("utf-8", "replace")).encode()) == text.encode("utf-8", "replace").decode()


@given(st.text("%4aZ+é"))
def test_unquotes_as_python_does(text: str) -> None:
    expected = unquote_to_bytes(text.replace("+", " "))
    try:
        assert unquote(text.encode()) == expected.decode()
    except UnicodeDecodeError:
        with pytest.raises(UnicodeDecodeError):
            expected.decode()


def test_memory_of_quoted_texts_is_bounded() -> None:
    tracemalloc.start()
    try:
        unquote(b"%41" * 100_000)
        assert tracemalloc.get_traced_memory()[1] <= MEMORY_FACTOR / 2 * 300_000
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def adapted(tmp_path_factory: pytest.TempPathFactory) -> Client:
    """Serves aliases of a model with each kind of adapter."""
    root = tmp_path_factory.mktemp("models")
    publish_each_adapter(root)
    echo = {"in": "input", "out": "y"}
    write_aliases(
        root,
        classify={"model": "colours", "input": "image", "answer": {"class": "label"}},
        picture={"model": "colours", "answer": {"class": "label"}},
        patient={"model": "patient", "input": "data", "answer": {"in": "input", "total": "value"}},
        person={"model": "patient", "answer": {"in": "input", "total": "value"}},
        words={"model": "words", "input": "text", "answer": echo},
        clean={"model": "clean", "input": "text", "answer": echo},
        say={"model": "clean", "answer": echo},
    )
    return Client(create_app(Settings(models=(root,), log="off")))


def multipart(client: Client, path: str, *parts: tuple[str, bytes]) -> Answer:
    """Send a form as `curl -F` does."""
    body = b"".join(write_form(name, data).removesuffix(b"--cut--\r\n") for name, data in parts) + b"--cut--\r\n"
    return client.ask("POST", path, body, content_type="multipart/form-data; boundary=cut")


RED, BLUE = picture((200, 10, 10)), picture((10, 10, 200), "JPEG")


def test_the_pictures_of_a_form_are_those_of_the_field(adapted: Client) -> None:
    alone = multipart(adapted, "/classify", ("user", b"anna"), ("image", BLUE))
    several = multipart(adapted, "/classify", ("image", BLUE), ("image", RED))
    missing = multipart(adapted, "/classify", ("photo", BLUE))
    wrong = multipart(adapted, "/classify", ("image", b"no picture"))

    assert alone.json() == {"class": "blue"}
    assert several.json() == {"class": ["blue", "red"]}
    assert (missing.status, missing.error) == (400, "expected a form with the field 'image'")
    assert wrong.status == 400
    assert wrong.error.startswith("picture 0: ")


def test_pictures_come_in_base64_too(adapted: Client) -> None:
    red, blue = (b64encode(one).decode() for one in (RED, BLUE))

    assert adapted.post("/classify", {"image": red}).json() == {"class": "red"}
    assert adapted.post("/classify", {"image": {"b64": red}}).json() == {"class": "red"}
    assert adapted.post("/classify", {"image": [red, blue]}).json() == {"class": ["red", "blue"]}
    assert send(adapted, "/classify", {"image": red}).json() == {"class": "red"}
    pixels = [[[0.0, 0.0, 1.0]] * 8] * 8
    assert adapted.post("/classify", {"image": pixels}).json() == {"class": "blue"}
    assert adapted.post("/classify", {"image": [pixels] * 2}).json() == {"class": ["blue"] * 2}


def test_a_body_is_a_picture(adapted: Client) -> None:
    assert adapted.ask("POST", "/picture", BLUE, content_type="image/jpeg").json() == {"class": "blue"}
    assert adapted.ask("POST", "/picture", BLUE, content_type="text/csv").status == 415
    assert adapted.ask("POST", "/classify", BLUE, content_type="image/jpeg").status == 400  # there is no field


def test_a_picture_is_not_answered(serve: Serve, tmp_path: Path) -> None:
    publish_each_adapter(tmp_path)
    write_aliases(tmp_path, classify={"model": "colours", "answer": "input"})
    with pytest.raises(InvalidAliases, match="has no 'input'; expected one of: label, confidence, probabilities"):
        create_app(Settings(models=(tmp_path,), log="off"))


ANNA, ANNA_CSV = {"age": 30, "note": "good"}, {"age": "30", "note": "good"}


@pytest.mark.parametrize(
    ("rows", "total"),
    [(ANNA, 37), ([ANNA], [37]), ([30, 70, "bad"], 100), ([[30, 70, "bad"], [1, 2, "good"]], [100, 3])],
)
def test_rows_of_a_table_are_objects_or_lists(adapted: Client, rows: Any, total: Any) -> None:
    for path, body in (("/patient", {"data": rows}), ("/person", rows), ("/person", {"rows": rows})):
        assert adapted.post(path, body).json() == {"in": rows, "total": total}


def test_the_fields_of_a_form_are_columns(adapted: Client) -> None:
    assert send(adapted, "/person", {**ANNA, "submit": "Send"}).json() == {"in": ANNA_CSV, "total": 37}
    several = send(adapted, "/person", {"age": [30, 31], "note": ["good", "bad"]})
    assert several.json()["total"] == [37, 38]
    parts = multipart(adapted, "/person", ("age", b"30"), ("note", b"good"), ("submit", b"Send"))
    assert parts.json() == {"in": ANNA_CSV, "total": 37}
    uneven = send(adapted, "/person", {"age": [30, 31], "note": ["good"]})
    assert (uneven.status, uneven.error) == (400, "the fields of the form have different numbers of values")
    none = send(adapted, "/person", {"name": "anna"})
    assert (none.status, none.error) == (400, "expected a form with the field 'age'")
    wrong = send(adapted, "/person", {"age": "old", "note": "good"})
    assert wrong.status == 400
    assert "column 'age'" in wrong.error


def test_a_table_comes_as_csv(adapted: Client) -> None:
    text = b"age,note\n30,good\n"
    expected = {"in": [ANNA_CSV], "total": [37]}

    assert multipart(adapted, "/patient", ("data", text)).json() == expected
    assert multipart(adapted, "/person", ("file", text)).json() == expected
    assert adapted.ask("POST", "/person", text, content_type="text/csv").json() == expected
    assert send(adapted, "/patient", {"data": text.decode()}).json()["total"] == [37]
    assert send(adapted, "/patient", {"data": '{"age": 30, "note": "good"}'}).json() == {"in": ANNA, "total": 37}


@pytest.mark.parametrize("path", ["/words", "/clean"])
def test_texts_come_in_every_form(adapted: Client, path: str) -> None:
    lower = str.lower if path == "/clean" else str
    one, two = {"in": "Ab", "out": lower("Ab")}, {"in": ["Ab", "C"], "out": [lower("Ab"), lower("C")]}

    assert adapted.post(path, {"text": "Ab"}).json() == one
    assert adapted.post(path, {"text": ["Ab", "C"]}).json() == two
    assert send(adapted, path, {"text": "Ab"}).json() == one
    assert send(adapted, path, {"text": ["Ab", "C"]}).json() == two
    assert multipart(adapted, path, ("text", b"Ab")).json() == one
    assert multipart(adapted, path, ("text", b"Ab"), ("text", b"C"), ("user", b"x")).json() == two
    assert adapted.ask("POST", path, b'{"text": "Ab"}', content_type="text/plain;charset=UTF-8").json() == one


def test_the_texts_of_any_field_are_rows_without_input(adapted: Client) -> None:
    assert multipart(adapted, "/say", ("a", b"Ab"), ("b", b"C")).json() == {"in": ["Ab", "C"], "out": ["ab", "c"]}
    assert adapted.post("/say", "Ab").json() == {"in": "Ab", "out": "ab"}
    assert send(adapted, "/say", {"rows": "Ab"}).json() == {"in": "Ab", "out": "ab"}
    assert adapted.ask("POST", "/say", b"Ab", content_type="text/plain").json() == {"in": "Ab", "out": "ab"}


def test_many_rows_of_csv_are_answered_in_their_order(adapted: Client) -> None:
    rows = [{"age": str(i), "note": "good"} for i in range(2500)]
    text = "age,note\n" + "".join(f"{row['age']},good\n" for row in rows)

    answer = adapted.ask("POST", "/person", text.encode(), content_type="text/csv").json()
    assert answer == {"in": rows, "total": [i + 7 for i in range(2500)]}


@pytest.mark.parametrize(("used", "memory", "status"), [(0, 40_000, 413), (70_000, 100_000, 429), (0, 100_000, 200)])
def test_a_form_counts_in_the_budget(tmp_path: Path, used: int, memory: int, status: int) -> None:
    publish(tmp_path, "words", identity("BYTES", (-1,)))
    write_aliases(tmp_path, words={"model": "words", "input": "x", "answer": "y"})
    app = create_app(Settings(models=(tmp_path,), log="off", memory=memory))
    body = urlencode({"x": ["ab"] * 200}, doseq=True).encode()
    app.state.budget.used = used

    assert Client(app).ask("POST", "/words", body, content_type=FORM).status == status
