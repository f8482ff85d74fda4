from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from tests.service.conftest import classifier, identity, two_inputs
from tests.service.pages.conftest import load_model

from snooze.service.pages.form import MAX_CHOICES, MAX_FIELDS, TOP, render
from snooze.service.runtime.model import Model

EVIL = "<i>'\"&"


class Form(HTMLParser):
    """The elements of a form by their `id`, with the text in them as `text`; and all start tags."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.elements: dict[str, dict[str, str]] = {}
        self.tags: list[str] = []
        self.choices: list[tuple[str, bool]] = []
        self._open = {"text": ""}
        self.html = "\n".join(render(model, "models/model"))
        self.feed(self.html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attributes} | {"tag": tag, "text": ""}
        self.tags.append(tag)
        if "id" in found:
            self._open = self.elements[found["id"]] = found
        if tag == "option":
            self.choices.append((found.get("value", ""), "selected" in found))

    def handle_endtag(self, tag: str) -> None:
        self._open = {"text": ""}

    def handle_data(self, data: str) -> None:
        self._open["text"] += data


def table(*columns: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "table", "columns": list(columns)}


def test_a_table_has_a_field_for_each_column(tmp_path: Path) -> None:
    columns = (
        {"name": "age", "type": "integer", "default": "30"},
        {"name": "weight", "type": "integer"},
        {"name": "note", "type": "text", "categories": ["a", "b"], "missing": True},
    )
    form = Form(load_model(tmp_path, two_inputs(), adapter=table(*columns)))

    assert form.elements["try"]["data-kind"] == "table"
    assert form.elements["try"]["data-path"] == "models/model/predict"
    assert form.elements["try"]["data-example"] == "models/model/example"
    fields = [form.elements[f"column-{number}"] for number in range(3)]
    assert [(one["data-column"], one["data-type"]) for one in fields] == [
        ("age", "integer"), ("weight", "integer"), ("note", "text"),
    ]  # fmt: skip
    assert 0 <= int(fields[0]["value"]) < 10
    assert fields[2]["value"] in ("a", "b")
    assert fields[2]["list"] == "column-2-list"
    notes = [form.elements[f"column-{number}-note"]["text"].strip() for number in range(3)]
    assert notes == ["integer, 30 if empty", "integer", "text, may be empty"]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ({"type": "number", "categories": ["1.0"]}, [("1.0", True)]),  # the drawn value is 1
        ({"type": "number", "categories": ["2"], "missing": True}, [("", False), ("2", True)]),
    ],
)
def test_a_column_of_known_values_is_chosen(
    tmp_path: Path, column: dict[str, Any], expected: list[tuple[str, bool]]
) -> None:
    form = Form(load_model(tmp_path, identity("FP32", (-1, 1)), adapter=table({"name": "x", "closed": True, **column})))

    assert form.elements["column-0"]["tag"] == "select"
    assert form.choices == expected


def test_thousands_of_categories_are_not_listed(tmp_path: Path) -> None:
    categories = [str(number) for number in range(MAX_CHOICES + 1)]
    column = {"name": "x", "type": "text", "categories": categories, "closed": True}
    form = Form(load_model(tmp_path, identity("BYTES", (-1, 1)), adapter=table(column)))

    assert form.elements["column-0"]["tag"] == "input"
    assert form.choices == []


def test_a_table_of_many_columns_is_written_as_json(tmp_path: Path) -> None:
    columns = [{"name": f"c{number}", "type": "number"} for number in range(MAX_FIELDS + 1)]
    form = Form(load_model(tmp_path, classifier(MAX_FIELDS + 1), adapter=table(*columns)))

    assert form.elements["try"]["data-kind"] == "rows"
    assert form.elements["rows"]["text"].strip().startswith('[\n{"c0":')


def test_a_text_has_a_box_with_an_example(tmp_path: Path) -> None:
    form = Form(load_model(tmp_path, identity("BYTES", (-1,)), adapter={"kind": "text", "input": "x"}))

    assert form.elements["try"]["data-kind"] == "text"
    assert form.elements["text"]["tag"] == "textarea"
    assert form.elements["text"]["text"].strip()


def test_a_picture_is_a_file(tmp_path: Path) -> None:
    grey = {"kind": "image", "input": "x", "height": 2, "width": 3, "layout": "NHW", "channels": "grey"}
    form = Form(load_model(tmp_path, identity("FP32", (-1, 2, 3)), adapter=grey))

    assert form.elements["try"]["data-kind"] == "image"
    assert form.elements["picture"]["type"] == "file"
    assert form.elements["another"]["text"].strip() == "Use a drawn picture"


def test_other_models_take_json(tmp_path: Path) -> None:
    form = Form(load_model(tmp_path, two_inputs()))

    assert form.elements["try"]["data-kind"] == "rows"
    assert '"age":' in form.elements["rows"]["text"]


def test_a_row_that_nobody_would_read_is_left_to_the_user(tmp_path: Path) -> None:
    form = Form(load_model(tmp_path, classifier(5000)))

    assert "data-example" not in form.elements["try"]
    assert "another" not in form.elements
    assert not form.elements["rows"]["text"].strip()


def test_only_the_best_of_many_classes_are_asked_for(tmp_path: Path) -> None:
    model = load_model(tmp_path, classifier(), ("a", "b"))
    assert Form(model).elements["try"]["data-path"] == "models/model/predict"

    model.bundle = model.bundle._replace(labels=tuple(map(str, range(TOP + 1))))
    assert Form(model).elements["try"]["data-path"] == f"models/model/predict?top={TOP}"


def test_everything_from_a_model_is_escaped(tmp_path: Path) -> None:
    columns = [
        {"name": EVIL, "type": "text", "categories": [EVIL], "default": EVIL, "closed": True},
    ]
    form = Form(load_model(tmp_path, identity("BYTES", (-1, 1)), adapter=table(*columns)))

    assert "i" not in form.tags
    assert form.elements["column-0"]["data-column"] == EVIL
    assert form.choices == [("", False), (EVIL, True)]
    assert form.elements["column-0-note"]["text"].strip() == f"text, {EVIL} if empty"
