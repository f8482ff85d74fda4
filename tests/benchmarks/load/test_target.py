import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.benchmarks.conftest import Server

from snooze.benchmarks.load.target import RequestOptions, batches, prepare, read_golden_rows, send_once
from snooze.bundle.contract import Tensor
from snooze.bundle.errors import InvalidData, InvalidOption
from snooze.client.errors import RequestFailed

VARIABLE, FIXED = Tensor("x", "INT64", (-1,)), Tensor("x", "INT64", (4,))


@pytest.mark.process
def test_makes_requests_for_the_signature_that_the_server_states(double: Server) -> None:
    target = prepare(double.url, RequestOptions("tumour", row=("1,2,3,4",), rows=2))

    assert (target.path, target.rows, target.source) == ("/v2/models/tumour/infer", 2, "--row")
    assert json.loads(target.payloads[0].body)["inputs"][0]["data"] == [1, 2, 3, 4, 1, 2, 3, 4]


@pytest.mark.process
def test_makes_requests_of_the_plain_protocol(double: Server) -> None:
    target = prepare(double.url, RequestOptions("tumour", row=("1,2,3,4",), protocol="predict"))

    assert target.path == "/models/tumour/predict"
    assert json.loads(target.payloads[0].body) == {"rows": [[1, 2, 3, 4]]}


@pytest.mark.process
def test_draws_rows_where_none_are_given(double: Server) -> None:
    target = prepare(double.url, RequestOptions("tumour", binary=True))

    assert target.source == "drawn from the signature"
    assert len({payload.body for payload in target.payloads}) == 64


@pytest.mark.process
def test_reads_rows_from_a_table_or_a_bundle(double: Server, bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,b,c,d,y\n1,2,3,4,no\n5,6,7,8,yes\n")

    assert len(prepare(double.url, RequestOptions("tumour", str(bundle))).payloads) == 8
    assert len(prepare(double.url, RequestOptions("tumour", str(tmp_path / "rows.csv"), "y")).payloads) == 2


@pytest.mark.process
def test_a_load_of_refusals_is_not_begun(double: Server) -> None:
    send_once(prepare(double.url, RequestOptions("tumour")))
    with pytest.raises(RequestFailed) as caught:
        send_once(prepare(double.url, RequestOptions("strict")))

    assert (caught.value.status, caught.value.message) == (400, "input 'features': too many rows")


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"rows": 0}, "--rows"),
        ({"protocol": "predict", "binary": True}, "--binary"),
        ({"data": "a.csv", "row": ("1",)}, "--row"),
    ],
)
def test_contradicting_options_are_refused(options: dict[str, Any], option: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        RequestOptions(**options)

    assert caught.value.option == option


@pytest.mark.parametrize(
    ("available", "rows", "expected"), [(5, 2, [[0, 1], [2, 3]]), (2, 3, [[0, 1, 0]]), (1, 1, [[0]])]
)
def test_rows_are_cut_into_requests(available: int, rows: int, expected: list[list[int]]) -> None:
    cut = batches({"x": np.arange(available)}, [VARIABLE], rows, "rows")

    assert [one["x"].tolist() for one in cut] == expected


def test_at_most_64_requests_are_made() -> None:
    assert len(batches({"x": np.arange(1000)}, [VARIABLE], 1, "rows")) == 64


def test_a_model_of_fixed_rows_gets_them_all() -> None:
    cut = batches({"x": np.arange(9)}, [FIXED], 1, "rows")

    assert [one["x"].tolist() for one in cut] == [[0, 1, 2, 3], [4, 5, 6, 7]]


@pytest.mark.parametrize(("available", "rows", "what"), [(9, 2, "--rows"), (3, 1, "rows.csv")])
def test_a_model_of_fixed_rows_takes_no_other_number(available: int, rows: int, what: str) -> None:
    with pytest.raises(InvalidData) as caught:
        batches({"x": np.arange(available)}, [FIXED], rows, "rows.csv")

    assert caught.value.what == what


def test_golden_rows_are_those_of_all_cases(bundle: Path) -> None:
    assert read_golden_rows(bundle).arrays["features"].shape == (8, 4)
