import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snooze.bundle.adapters import registry, text
from snooze.bundle.contract import Tensor
from snooze.bundle.errors import InvalidData, InvalidOption
from snooze.bundle.rows.reading import Rows
from snooze.convert.adapters import choosing
from snooze.convert.adapters.choosing import Chosen, adapt, choose, read_declaration
from snooze.convert.frameworks.interface import Input
from snooze.convert.frameworks.registry import find

TEXT = text.Declaration("text", "text")


@pytest.fixture(scope="module")
def pipeline() -> Any:
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    return make_pipeline(CountVectorizer(), LogisticRegression()).fit(["a river", "a town", "the river"], [0, 1, 0])


def write(folder: Path, document: Any) -> Path:
    path = folder / "adapter.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def test_the_users_declaration_is_taken(pipeline: Any, tmp_path: Path) -> None:
    rows = Rows({"question": np.array(["a town"], object)})

    inputs, chosen = choose(find("sklearn"), pipeline, rows, write(tmp_path, {"kind": "text", "input": "text"}), "data")

    assert [one.tensor.name for one in inputs] == ["text"]
    assert chosen is not None
    assert chosen.declaration == TEXT


def test_a_model_of_numbers_without_names_gets_none(pipeline: Any) -> None:
    from sklearn.linear_model import LinearRegression

    model = LinearRegression().fit(np.arange(6).reshape(3, 2), [0, 1, 2])

    assert choose(find("sklearn"), model, Rows({"": np.zeros((2, 2))}), None, "data")[1] is None


def test_pictures_for_a_model_of_numbers_are_refused() -> None:
    from sklearn.linear_model import LinearRegression

    model = LinearRegression().fit(np.arange(6).reshape(3, 2), [0, 1, 2])

    with pytest.raises(InvalidData) as caught:
        choose(find("sklearn"), model, Rows({}, None, [b"picture"]), None, "photos")

    assert caught.value.what == "photos"


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ("{", "line 1"),
        ("[]", "expected an object"),
        ({"kind": "sound"}, "adapter.kind"),
        ({"kind": "text", "input": 7}, "adapter.input: expected 1 to 500"),
    ],
    ids=str,
)
def test_a_declaration_that_is_none_is_refused(tmp_path: Path, document: Any, problem: str) -> None:
    path = write(tmp_path, document)

    with pytest.raises(InvalidOption) as caught:
        read_declaration(path)

    assert caught.value.option == "--adapter"
    assert problem in caught.value.problem


def test_a_missing_declaration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption):
        read_declaration(tmp_path / "missing.json")


def test_texts_become_one_case_with_their_raw_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "CHUNK", 2)
    monkeypatch.setattr(choosing, "MAX_ROWS", 3)
    chosen, inputs = load()

    data = adapt(chosen, Rows({"q": np.array(["a", "b", "c", "d", "e"], object)}, np.arange(5)), inputs, "data")

    assert [case.tensors["text"].tolist() for case in data.cases] == [["a", "c", "e"]]
    assert data.labels is not None
    assert data.labels.tolist() == [0, 2, 4]
    assert data.raw is not None
    assert list(data.raw) == ["a", "c", "e"]
    taken = data.take(np.array([2]))
    assert taken.raw is not None
    assert list(taken.raw) == ["e"]
    assert data.notes == ("of 5 rows, 3 were compared, spread evenly",)


def load() -> tuple[Chosen, tuple[Input, ...]]:
    adapter = registry.find("text").load(TEXT, (), Path())
    return Chosen(TEXT, adapter, Path()), (Input(Tensor("text", "BYTES", (-1,))),)
