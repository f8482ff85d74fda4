import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from snooze.bundle.contract import Tensor
from snooze.bundle.errors import InvalidData
from snooze.knative.comparison.single_rows import read_labelled, write_requests

NUMBERS = (Tensor("x", "FP32", (-1, 2)),)


def requests(path: Path, label: str | None, adapter: str | None = None) -> tuple[list[bytes], list[str]]:
    """Return the bodies of the requests, and the labels."""
    rows, labels = read_labelled(path, label)
    return [one.body for one in write_requests(rows, path, label, NUMBERS, adapter)], list(map(str, labels))


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_rows_of_numbers_are_json(tmp_path: Path) -> None:
    bodies, labels = requests(write(tmp_path, "rows.csv", "a,b,y\n1,2.5,no\n3,4,yes\n"), "y")

    assert [json.loads(body) for body in bodies] == [{"rows": [[1.0, 2.5]]}, {"rows": [[3.0, 4.0]]}]
    assert labels == ["no", "yes"]


def test_rows_of_a_table_stay_as_they_are_written(tmp_path: Path) -> None:
    path = write(tmp_path, "rows.csv", 'zip,place,y\n01067,"Dresden, Altstadt",1\n,Köln,0\n')
    bodies, labels = requests(path, "y", "table")

    assert [body.decode().splitlines() for body in bodies] == [
        ["zip,place", '01067,"Dresden, Altstadt"'],
        ["zip,place", ",Köln"],
    ]
    assert labels == ["1", "0"]


def test_texts_are_asked_one_by_one(tmp_path: Path) -> None:
    path = write(tmp_path, "rows.jsonl", '{"text": "a b", "y": "x"}\n{"text": "c", "y": "z"}\n')
    bodies, labels = requests(path, "y", "text")

    assert [json.loads(body) for body in bodies] == [{"texts": ["a b"]}, {"texts": ["c"]}]
    assert labels == ["x", "z"]


def test_pictures_have_the_names_of_their_folders_as_labels(tmp_path: Path) -> None:
    for name in ("boot", "shirt"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (2, 2)).save(tmp_path / name / "1.png")
    bodies, labels = requests(tmp_path, None, "image")

    assert bodies == [(tmp_path / name / "1.png").read_bytes() for name in ("boot", "shirt")]
    assert labels == ["boot", "shirt"]


def test_labels_of_an_archive_are_its_y(tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", x=np.ones((2, 2), np.float32), y=np.array([[0], [1]]))
    bodies, labels = requests(tmp_path / "rows.npz", None)

    assert len(bodies) == 2
    assert labels == ["0", "1"]


@pytest.mark.parametrize(
    ("text", "label", "problem"),
    [
        ("a,b\n1,2\n", None, "has no labels; name their column with --label"),
        ("a,b\n1,2\n", "y", "has no column 'y'; available: a, b"),
        ("a,b,c,y\n1,2,3,0\n", "y", "input 'x' has shape [any, 2], got [1, 3]"),
        ("a,b,y\n1,,0\n", "y", "row 0 has NaN or infinity for input 'x'; remove such rows"),
        ("a,b,y\n1,red,0\n", "y", "'red' is not a number"),
    ],
)
def test_says_what_is_wrong_with_the_rows(tmp_path: Path, text: str, label: str | None, problem: str) -> None:
    with pytest.raises(InvalidData) as caught:
        requests(write(tmp_path, "rows.csv", text), label)

    assert problem in str(caught.value)


def test_several_labels_for_a_row_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", x=np.ones((2, 2), np.float32), y=np.eye(2))

    with pytest.raises(InvalidData) as caught:
        requests(tmp_path / "rows.npz", None)
    assert caught.value.problem == "expected one label for each row, got labels of shape [2, 2]"
