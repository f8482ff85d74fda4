import json
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.benchmarks.conftest import Server

from snooze.benchmarks.errors import BenchmarkError, InvalidData, InvalidOption, NotServed, UnknownModel, Unreachable
from snooze.benchmarks.exchange import Address
from snooze.benchmarks.load.target import Wanted, prepare, try_once
from snooze.bundle import DATATYPES


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8080", Address("127.0.0.1", 8080, False, "")),
        ("127.0.0.1:8080/", Address("127.0.0.1", 8080, False, "")),
        ("https://models.example.com", Address("models.example.com", 443, True, "")),
        ("http://example.com/behind/", Address("example.com", 80, False, "/behind")),
        ("http://[::1]:8080", Address("::1", 8080, False, "")),
    ],
)
def test_reads_an_address(url: str, expected: Address) -> None:
    assert Address.parse(url) == expected
    assert Address.parse(expected.url) == expected


@pytest.mark.parametrize("url", ["ftp://example.com", "http://", "http://example.com:port", "http://a/?b=c", ""])
def test_refuses_what_is_no_address(url: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        Address.parse(url)

    assert str(caught.value) == f"URL: expected an address like http://127.0.0.1:8080, got {url!r}"


def test_asks_the_server_for_the_signature(double: Server) -> None:
    target = prepare(double.url, Wanted("tumour", row=("1,2,3,4",), rows=2))

    assert (target.path, target.rows, target.source) == ("/v2/models/tumour/infer", 2, "--row")
    assert json.loads(target.payloads[0].body)["inputs"][0]["data"] == [1, 2, 3, 4, 1, 2, 3, 4]


def test_takes_the_model_out_of_its_own_url(double: Server) -> None:
    assert prepare(f"{double.url}/v2/models/tumour/infer", Wanted()).model == "tumour"


def test_speaks_the_plain_protocol(double: Server) -> None:
    target = prepare(double.url, Wanted("tumour", row=("1,2,3,4",), protocol="predict"))

    assert target.path == "/models/tumour/predict"
    assert json.loads(target.payloads[0].body) == [[1, 2, 3, 4]]


def test_draws_rows_where_none_are_given(double: Server) -> None:
    target = prepare(double.url, Wanted("tumour"))

    assert target.source == "drawn from the signature"
    assert len({payload.body for payload in target.payloads}) == 64


def test_takes_the_rows_of_a_bundle(double: Server, bundle: Path) -> None:
    assert len(prepare(double.url, Wanted("tumour", data=bundle)).payloads) == 8


def test_sends_a_request_once_before_any_load(double: Server) -> None:
    try_once(prepare(double.url, Wanted("tumour")))


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_says_that_nobody_listens() -> None:
    url = f"http://127.0.0.1:{closed_port()}"

    with pytest.raises(Unreachable) as caught:
        prepare(url, Wanted("tumour"))

    assert str(caught.value) == (
        f"cannot reach {url}: Connection refused; start the server first, for example: snooze serve models"
    )


@pytest.mark.parametrize(("model", "wanted"), [("nope", "no model 'nope'"), (None, "not exactly one model")])
def test_lists_the_models_there_are(double: Server, model: str | None, wanted: str) -> None:
    with pytest.raises(UnknownModel) as caught:
        prepare(double.url, Wanted(model))

    assert str(caught.value) == (
        f"{double.url} serves {wanted}; there are: broken, busy, slow, strict, tumour; choose with --model"
    )


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("loading", "{url}/v2/models/loading answered 503 to the first request: the model is loading"),
        ("silent", "{url}/v2/models/silent answered 200 to the first request: not the metadata of a model"),
        ("newer", f"input 'x': its datatype BF16 is none of {', '.join(DATATYPES)}"),
        ("constant", "the model's signature: it has no inputs"),
    ],
)
def test_says_what_is_odd_about_a_model(double: Server, model: str, message: str) -> None:
    with pytest.raises(BenchmarkError) as caught:
        prepare(double.url, Wanted(model))

    assert str(caught.value) == message.format(url=double.url)


def test_repeats_what_the_server_objects_to(double: Server) -> None:
    with pytest.raises(NotServed) as caught:
        try_once(prepare(double.url, Wanted("strict")))

    assert str(caught.value) == (
        f"{double.url}/v2/models/strict/infer answered 400 to the first request: input 'features': too many rows"
    )


def test_says_that_rows_do_not_fit(double: Server, tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", np.ones((3, 30)))

    with pytest.raises(InvalidData) as caught:
        prepare(double.url, Wanted("tumour", data=tmp_path / "rows.npy"))

    assert str(caught.value) == f"{tmp_path / 'rows.npy'}: input 'features' is [rows, 4], got [3, 30]"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rows": 0}, "--rows: expected 1 or more, got 0"),
        ({"protocol": "v3"}, "--protocol: expected v2 or predict, got 'v3'"),
        (
            {"protocol": "predict", "binary": True},
            "--binary: expected --protocol v2, the plain one has no binary form, got 'predict'",
        ),
        ({"data": Path("a.csv"), "row": ("1",)}, "--row: expected either --data or --row, got '1'"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchmarkError) as caught:
        Wanted(**options)

    assert str(caught.value) == message
