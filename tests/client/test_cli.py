import argparse
import json
from pathlib import Path

import pytest
from tests.benchmarks.conftest import Server
from tests.client.conftest import Serve

from snooze.bundle.errors import InvalidData, InvalidOption
from snooze.client.cli import ask, predict_arguments, print_answer
from snooze.client.errors import RequestFailed, UnknownModel

ROW = "0.5,1,-0.5,2"


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    predict_arguments(parser)
    return parser.parse_args(arguments)


@pytest.mark.process
def test_a_snooze_server_answers_by_every_address(snooze_server: Server) -> None:
    url = snooze_server.url
    targets = (
        [url],
        [url, "--model", "tumour"],
        [url, "--model", "tumour", "--version", "1"],
        [f"{url}/v2/models/tumour"],
        [f"{url}/v2/models/tumour/versions/1/infer"],
    )
    answers = [ask(parse(*target, "--row", ROW)) for target in targets]

    assert all(answer == answers[0] for answer in answers)
    assert set(answers[0]["predictions"][0]) == {"label", "confidence", "probabilities"}
    with pytest.raises(UnknownModel):
        ask(parse(url, "--model", "x", "--row", ROW))
    with pytest.raises(RequestFailed):
        ask(parse(url, "--model", "tumour", "--version", "9", "--row", ROW))
    with pytest.raises(InvalidData):
        ask(parse(url, "--row", "1,2"))


@pytest.mark.process
def test_a_row_with_nan_is_answered(snooze_server: Server) -> None:
    assert {output["name"] for output in ask(parse(snooze_server.url, "--row", "1,2,nan,4"))["outputs"]} == {
        "label",
        "probabilities",
    }


def test_a_table_may_have_a_column_of_labels(serve: Serve, tmp_path: Path) -> None:
    """The file that `snooze convert --data FILE --label COLUMN` reads, `snooze predict` reads as well."""
    (tmp_path / "rows.csv").write_text("a,diagnosis,b\n1,benign,2\n3,malignant,4\n")
    inputs = [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}]
    plain = {"model": "m", "version": 1, "predictions": []}
    url = serve({"/v2": {"name": "snooze"}, "/v2/models/m": {"inputs": inputs}, "/models/m/predict": plain})
    options = [url, "--model", "m", "--data", str(tmp_path / "rows.csv")]

    assert ask(parse(*options, "--label", "diagnosis")) == plain
    with pytest.raises(InvalidData):
        ask(parse(*options))


def test_an_adapter_gets_what_it_takes(serve: Serve) -> None:
    inputs = [{"name": "x", "datatype": "BYTES", "shape": [-1]}]
    metadata = {"inputs": inputs, "adapter": {"kind": "text", "inputs": []}}
    plain = {"model": "m", "version": 1, "predictions": [{"label": "a"}]}
    url = serve({"/v2/models/m": metadata, "/models/m/predict": plain})

    assert ask(parse(url, "--model", "m", "--row", "Who, if anyone?")) == plain


@pytest.mark.parametrize("rows", [[], ["--row", "1", "--data", "rows.csv"]])
def test_rows_are_given_once(rows: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse("http://127.0.0.1:1", *rows)

    assert caught.value.code == 2


def test_a_timeout_is_above_zero() -> None:
    with pytest.raises(InvalidOption) as caught:
        ask(parse("http://127.0.0.1:1", "--row", "1", "--timeout", "0"))

    assert caught.value.option == "--timeout"


def test_people_get_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    predictions = [{"label": "a", "confidence": 0.75, "probabilities": {"a": 0.75}}, {"value": "x" * 200}]
    print_answer({"model": "m", "version": 1, "predictions": predictions}, as_json=False)
    output = {"name": "y", "datatype": "FP32", "shape": [1], "data": [3.0]}
    print_answer({"model_name": "m", "model_version": "2", "outputs": [output]}, as_json=False)

    assert capsys.readouterr().out.splitlines() == [
        "m version 1",
        "  row 0: label a, confidence 0.75",
        f"  row 1: value {'x' * 97}...",
        "m version 2",
        "  y FP32 [1]: [3.0]",
    ]


def test_machines_get_json(capsys: pytest.CaptureFixture[str]) -> None:
    answer = {"model": "é", "predictions": [1]}
    print_answer(answer, as_json=True)

    assert json.loads(capsys.readouterr().out) == answer
