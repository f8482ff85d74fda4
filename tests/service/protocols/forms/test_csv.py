from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.service.conftest import COLUMNS, Client, identity, publish, publish_adapted, regressor, two_inputs

from snooze.service import Settings, create_app

CSV = "text/csv"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Client:
    """Serves a table of three columns, one of texts, and matrices of numbers."""
    root = tmp_path_factory.mktemp("models")
    publish_adapted(root, "patient", two_inputs(), COLUMNS)
    names = {"kind": "table", "columns": [{"name": "a", "type": "text"}, {"name": "b", "type": "text"}]}
    publish_adapted(root, "texts", identity("BYTES", (-1, 2)), names)
    publish(root, "sum", regressor())
    publish(root, "integers", identity("INT64", (-1, 2)))
    publish(root, "wide", identity("FP32", (-1, -1)))
    return Client(create_app(Settings(models=(root,), log="off")))


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("age,weight,note\n1,2,good\n", [3]),
        ("note,age,weight\r\ngood,1,2\r\nbad,3,4\r\n", [3, 7]),
        ('\ufeff"note","age","weight"\r\n"good","1","2"', [3]),
        (" note , age,weight\ngood,1,2\n", [3]),
        ("age,note\n1,good\n", [8]),
        ("age,weight,note\n1,,good\n\n\n2,3,bad", [8, 5]),
        ("1,2,good\n3,4,bad\n", [3, 7]),
    ],
)
def test_a_table_is_read_by_its_header_or_in_the_order_of_its_columns(
    server: Client, text: str, values: list[int]
) -> None:
    answer = server.ask("POST", "/models/patient/predict", text.encode(), content_type=CSV)

    assert answer.status == 200, answer.body
    assert [prediction["value"] for prediction in answer.json()["predictions"]] == values


def test_a_field_in_quotes_may_hold_anything(server: Client) -> None:
    text = 'a,b\r\n"one, two","""three""\r\nfour"\r\n'

    answer = server.ask("POST", "/models/texts/predict", text.encode(), content_type=CSV)

    assert answer.json()["predictions"] == [{"y": ["one, two", '"three"\r\nfour']}]


@pytest.mark.parametrize(
    ("model", "text", "error"),
    [
        ("patient", "", "the body is empty; expected text/csv"),
        ("patient", "\n\n", "expected at least one row of CSV, got none"),
        ("patient", "age,weight,note\n", "expected at least one row of CSV, got only a header"),
        ("patient", "age,age,note\n1,2,3", "column 'age' is duplicated in the header"),
        ("patient", "age,weight,note\n1,2", "row 0: expected 3 fields, got 2"),
        ("patient", "age,weight,note\n1,2,good\n1,2,good,4", "row 1: expected 3 fields, got 4"),
        ("patient", "1;2;good", "row 0: expected 3 fields, got 1"),
        ("patient", 'age,weight,note\n1,2,"good', "line 2 of the CSV: unexpected end of data"),
        ("patient", 'age,weight,note\n1,2,"good"x', "line 2 of the CSV: ',' expected after '\"'"),
        ("texts", "one,two", "expected a header, because all columns are texts: a,b"),
        ("sum", "1,2\n", "row 0: expected 3 fields, got 2"),
        ("sum", "1,2,x\n", "row 0, column '2': expected a number, got 'x'"),
        ("sum", "1,2,\n", "row 0, column '2': expected a number, got ''"),
        ("sum", "1,2,3\n1,nan,3\n", "row 1, column '1': expected a number, got 'nan'"),
        ("sum", "1,2,3\n1,1_000,3\n", "row 1, column '1': expected a number, got '1_000'"),
        ("sum", "1,2,3\n1,1e999,3\n", "row 1, column '1': expected a number, got '1e999'"),
        ("sum", "1,2,3\n" * 2000 + "1,2,\u0663\n", "row 2000, column '2': expected a number, got '\u0663'"),
        ("sum", "1,2,3\n" * 2000 + "1,2\n", "row 2000: expected 3 fields, got 2"),
        ("sum", "1,2,3\n" * 2000 + "1,2,3-\n", "row 2000, column '2': expected a number, got '3-'"),
        ("integers", "1,2\n1,2e0", "row 1, column '1': expected an integer, got '2e0'"),
        ("sum", "1e39,2,3\n", "input 'x': 1e+39 is out of the range of FP32"),
        (
            "sum",
            "a,b,c\n1,2,3",
            "row 0: expected numbers, got 'a'; this model has no names of columns: send no header",
        ),
        ("integers", "1,2.5", "row 0, column '1': expected an integer, got '2.5'"),
        ("integers", f"1,{2**63}", f"input 'x': {2**63} is out of the range of INT64, {-(2**63)} to {2**63 - 1}"),
    ],
)
def test_says_what_is_wrong(server: Client, model: str, text: str, error: str) -> None:
    answer = server.ask("POST", f"/models/{model}/predict", text.encode(), content_type=CSV)

    assert (answer.status, answer.error) == (400, error)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("age,weight\n1,2", "note"),
        ("age,weight,note,extra\n1,2,good,4", "extra"),
        ("age,weight,note\nx,2,good", "age"),
        ("age,weight,note\n1,2,fine", "note"),
        ("age,weight,note\n,2,good", "age"),
        ("old,weight,note\n1,2,good", "age"),
    ],
)
def test_the_adapter_names_the_column_that_is_wrong(server: Client, text: str, name: str) -> None:
    answer = server.ask("POST", "/models/patient/predict", text.encode(), content_type=CSV)

    assert answer.status == 400
    assert answer.error.startswith(f"row 0, column {name!r}: ")


def test_what_is_not_utf_8_is_refused(server: Client) -> None:
    body = b"age,weight,note\n" + b"1,2,good\n" * 5000 + b"1,2,\xff\n"

    answer = server.ask("POST", "/models/patient/predict", body, content_type=CSV)

    assert answer.status == 400
    assert answer.error.startswith("the CSV is not UTF-8 (after line ")


@pytest.mark.parametrize(
    ("model", "text", "answers"),
    [
        ("sum", "1,2,3\n4,5,6.5\n", [{"value": 6}, {"value": 15.5}]),
        ("sum", "+1, .5 ,1e-1", [{"value": pytest.approx(1.6)}]),
        ("sum", "\ufeff1,2,3", [{"value": 6}]),
        ("integers", "1,2\r\n-3,4\r\n", [{"y": [1, 2]}, {"y": [-3, 4]}]),
        ("wide", "1,2,3,4\n5,6,7,8", [{"y": [1, 2, 3, 4]}, {"y": [5, 6, 7, 8]}]),
    ],
)
def test_the_only_matrix_of_a_model_takes_numbers(server: Client, model: str, text: str, answers: Any) -> None:
    answer = server.ask("POST", f"/models/{model}/predict", text.encode(), content_type=CSV)

    assert answer.json()["predictions"] == answers


def test_numbers_have_the_precision_of_the_input(tmp_path: Path) -> None:
    publish(tmp_path, "double", identity("FP64", (-1, 2)))
    client = Client(create_app(Settings(models=(tmp_path,), log="off")))
    numbers = np.random.default_rng(0).normal(size=(50, 2))
    text = "\n".join(",".join(map(repr, row)) for row in numbers.tolist())

    answer = client.ask("POST", "/predict", text.encode(), content_type=CSV)

    assert [prediction["y"] for prediction in answer.json()["predictions"]] == numbers.tolist()
