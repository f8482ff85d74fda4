import json
from pathlib import Path

import pytest
from tests.service.conftest import Client, classifier, identity, regressor
from tests.service.pages.conftest import load_model

from snooze.service.errors import InvalidRequest, NotServed
from snooze.service.pages.examples import respond


def test_an_example_can_be_sent(client: Client) -> None:
    for model in ("tumour", "sum", "person", "identity-bytes", "identity-bool"):
        example = client.ask("GET", f"/models/{model}/example")

        assert example.headers["content-type"] == "application/json"
        assert client.ask("POST", f"/models/{model}/predict", example.body).status == 200
    assert client.ask("GET", "/models/tumour/versions/1/example").status == 200
    assert client.ask("GET", "/models/other/example").status == 404


def test_a_seed_draws_another_example(tmp_path: Path) -> None:
    model = load_model(tmp_path, regressor())

    drawn = [respond(model, query).body for query in (b"", b"", b"seed=1", b"seed=2", b"seed=1")]

    assert drawn[0] == drawn[1]
    assert drawn[2] == drawn[4]
    assert len(set(drawn)) == 3


def test_an_example_for_an_adapter_is_a_raw_row(tmp_path: Path) -> None:
    text = load_model(tmp_path, identity("BYTES", (-1,)), adapter={"kind": "text", "input": "x"})
    grey = {"kind": "image", "input": "x", "height": 2, "width": 3, "layout": "NHW", "channels": "grey"}
    picture = load_model(tmp_path, identity("FP32", (-1, 2, 3)), adapter=grey)

    (row,) = json.loads(respond(text, b"").body)["rows"]
    assert isinstance(row, str)
    answer = respond(picture, b"")
    assert answer.headers == [(b"content-type", b"image/png")]
    assert answer.body.startswith(b"\x89PNG")


@pytest.mark.parametrize("seed", ["-1", "x", "1.5", "2147483649", "12345678901", "\u0663"])
def test_a_seed_is_a_small_integer(tmp_path: Path, seed: str) -> None:
    model = load_model(tmp_path, regressor())

    with pytest.raises(InvalidRequest, match="seed: expected an integer from 0 to"):
        respond(model, f"seed={seed}".encode())


def test_a_row_that_nobody_would_read_is_no_example(tmp_path: Path) -> None:
    model = load_model(tmp_path, classifier(5000))

    with pytest.raises(NotServed) as caught:
        respond(model, b"")

    assert caught.value.what == "an example for model 'model'"
