from pathlib import Path
from typing import Any

import pytest
from tests.service.conftest import (
    Client,
    identity,
    picture,
    publish,
    publish_each_adapter,
    regressor,
    two_inputs,
)

from snooze.service import Settings, create_app

RED, GREEN = picture((255, 0, 0), "JPEG"), picture((0, 255, 0))
FORM = "multipart/form-data; boundary=cut"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Client:
    """Serves a model with each adapter, and models without one."""
    root = tmp_path_factory.mktemp("models")
    publish_each_adapter(root)
    publish(root, "sum", regressor())
    publish(root, "person", two_inputs())
    publish(root, "echo", identity("BYTES", (-1, 1)))
    return Client(create_app(Settings(models=(root,), log="off")))


def form(*contents: bytes) -> bytes:
    """Return the body of a form with these files."""
    head = b'--cut\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    return b"".join(head + content + b"\r\n" for content in contents) + b"--cut--\r\n"


def predict(server: Client, model: str, body: bytes, media: str) -> Any:
    answer = server.ask("POST", f"/models/{model}/predict", body, content_type=media)
    assert answer.status == 200, answer.body
    return answer.json()["predictions"]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP", "BMP"])
def test_a_picture_is_the_body(server: Client, kind: str) -> None:
    data = picture((0, 0, 255), kind)

    for media in (f"image/{kind.lower()}", "application/octet-stream"):
        (prediction,) = predict(server, "colours", data, media)
        assert prediction["label"] == "blue"
        assert prediction["confidence"] > 0.99


def test_pictures_are_the_parts_of_a_form(server: Client) -> None:
    predictions = predict(server, "colours", form(RED, GREEN, RED), FORM)

    assert [prediction["label"] for prediction in predictions] == ["red", "green", "red"]


@pytest.mark.parametrize("media", ["text/plain", "text/plain; charset=utf-8", 'TEXT/PLAIN ;charset="UTF-8"'])
@pytest.mark.parametrize(("model", "said"), [("words", "Größe"), ("clean", "größe"), ("echo", ["Größe"])])
def test_a_text_is_the_body(server: Client, media: str, model: str, said: Any) -> None:
    assert predict(server, model, "Größe".encode(), media) == [{"y": said}]
    assert predict(server, model, b"\xef\xbb\xbf" + "Größe".encode(), media) == [{"y": said}]


def test_texts_are_the_parts_of_a_form(server: Client) -> None:
    assert predict(server, "clean", form(b"One", "Zwölf".encode(), b""), FORM) == [
        {"y": "one"},
        {"y": "zwölf"},
        {"y": ""},
    ]


@pytest.mark.parametrize(("model", "text"), [("patient", b"note,age,weight\ngood,1,2\n"), ("sum", b"1,1,1\r\n")])
def test_a_file_of_csv_is_the_part_of_a_form(server: Client, model: str, text: bytes) -> None:
    assert predict(server, model, form(text), FORM)[0]["value"] == 3


@pytest.mark.parametrize(
    "media",
    [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON;charset=UTF-8",
        "text/json",
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded; charset=UTF-8",
    ],
)
def test_json_has_several_names(server: Client, media: str) -> None:
    assert predict(server, "sum", b"[[1,2,3]]", media) == [{"value": 6}]


@pytest.mark.parametrize(
    ("model", "media", "taken"),
    [
        ("sum", "image/jpeg", "application/json or text/csv or multipart/form-data"),
        ("sum", "text/plain", "application/json or text/csv or multipart/form-data"),
        ("sum", "", "application/json or text/csv or multipart/form-data"),
        ("sum", "text/csv; charset=latin-1", "application/json or text/csv or multipart/form-data"),
        ("sum", "application/json; charset=utf-16", "application/json or text/csv or multipart/form-data"),
        ("patient", "application/xml", "application/json or text/csv or multipart/form-data"),
        ("person", "text/csv", "application/json"),
        ("person", FORM, "application/json"),
        ("words", "image/png", "application/json or text/plain or multipart/form-data"),
        ("words", "text/plain; charset=iso-8859-1", "application/json or text/plain or multipart/form-data"),
        (
            "colours",
            "image/gif",
            "application/json or image/jpeg or image/png or image/webp or image/bmp or application/octet-stream "
            "or multipart/form-data",
        ),
    ],
)
def test_another_media_type_is_refused_with_those_that_the_model_takes(
    server: Client, model: str, media: str, taken: str
) -> None:
    answer = server.ask("POST", f"/models/{model}/predict", b"x", content_type=media)

    assert (answer.status, answer.error) == (
        415,
        f"Content-Type {media!r} is not supported by model '{model}'; use {taken}, and UTF-8 for text",
    )


@pytest.mark.parametrize(
    ("model", "media", "body", "error"),
    [
        ("colours", "image/png", b"", "the body is empty; expected image/png"),
        ("words", "text/plain", b"", "the body is empty; expected text/plain"),
        ("words", "text/plain", b"a\xff", "text 0: is not UTF-8 (byte 1)"),
        ("words", FORM, form(b"a", b"b\xffc"), "text 1: is not UTF-8 (byte 1)"),
        ("sum", FORM, form(b"1,2,3", b"1,2,3"), "expected one file of CSV, got 2 parts"),
        ("colours", FORM, form(RED)[:-30], "multipart/form-data: the body ends before its last boundary"),
    ],
)
def test_says_what_is_wrong(server: Client, model: str, media: str, body: bytes, error: str) -> None:
    answer = server.ask("POST", f"/models/{model}/predict", body, content_type=media)

    assert (answer.status, answer.error) == (400, error)


@pytest.mark.parametrize(("body", "number"), [(b"no picture", 0), (form(RED, b"no picture"), 1), (form(b""), 0)])
def test_what_is_no_picture_is_named(server: Client, body: bytes, number: int) -> None:
    media = FORM if body.startswith(b"--cut") else "image/jpeg"

    answer = server.ask("POST", "/models/colours/predict", body, content_type=media)

    assert answer.status == 400
    assert answer.error.startswith(f"picture {number}: ")


def test_other_parameters_of_the_query_change_nothing(server: Client) -> None:
    for query in ("", "?", "?a=b&c", "?top=2&a=b"):
        answer = server.ask("POST", f"/models/colours/predict{query}", RED, content_type="image/jpeg")
        assert answer.json()["predictions"][0]["label"] == "red"


def test_a_form_can_be_compressed(server: Client, tmp_path: Path) -> None:
    import gzip

    answer = server.ask(
        "POST", "/models/colours/predict", gzip.compress(form(RED)), content_type=FORM, content_encoding="gzip"
    )

    assert answer.json()["predictions"][0]["label"] == "red"


@pytest.mark.parametrize(
    ("model", "body", "advice"),
    [
        ("colours", RED, "image/jpeg or image/png or image/webp or image/bmp or application/octet-stream"),
        ("patient", b"1,2,good", "text/csv"),
        ("words", b"a text", "text/plain"),
        ("words", b"", None),
        ("words", b"[1", None),
        ("person", b"1,2", None),
    ],
)
def test_a_body_that_its_client_does_not_name_may_be_something_else(
    server: Client, model: str, body: bytes, advice: str | None
) -> None:
    expected = f"; for another form than JSON set Content-Type to {advice} or multipart/form-data"
    for headers in ({}, {"content_type": "application/x-www-form-urlencoded"}):
        answer = server.ask("POST", f"/models/{model}/predict", body, **headers)
        assert answer.status == 400
        assert answer.error.startswith("the body is ")
        assert answer.error.endswith(expected) == (advice is not None)
