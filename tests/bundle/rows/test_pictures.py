from pathlib import Path

import pytest

from snooze.bundle.errors import InvalidData
from snooze.bundle.rows.pictures import read_folder


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return folder


def test_subfolders_are_classes_in_the_order_of_their_names(tmp_path: Path) -> None:
    found = read_folder(fill(tmp_path, "dog/b.jpg", "cat/2.PNG", "cat/1.jpeg", "cat/old/3.webp", "10/x.bmp"))

    assert found.classes == ("10", "cat", "dog")
    assert found.labels is not None
    assert found.labels.tolist() == ["10", "cat", "cat", "cat", "dog"]
    assert list(found.pictures) == [b"10/x.bmp", b"cat/1.jpeg", b"cat/2.PNG", b"cat/old/3.webp", b"dog/b.jpg"]
    assert found.notes == ()


def test_a_folder_without_subfolders_has_no_labels(tmp_path: Path) -> None:
    found = read_folder(fill(tmp_path, "b.jpg", "a.jpg"))

    assert (found.labels, found.classes) == (None, None)
    assert found.pictures[:1] == [b"a.jpg"]
    assert len(found.pictures) == 2


def test_other_files_are_left_out_and_named(tmp_path: Path) -> None:
    found = read_folder(fill(tmp_path, "a/1.jpg", "a/.hidden.jpg", ".git/2.jpg", "labels.txt", "a/x", "a/y", "a/z"))

    assert len(found.pictures) == 1
    assert found.notes == ("left out, because they are no pictures: a/x, a/y, a/z and 1 more",)


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["readme.txt"], "contains no pictures"),
        (["cat/1.jpg", "2.jpg"], "also 2.jpg without a class"),
    ],
)
def test_says_what_is_wrong(tmp_path: Path, names: list[str], problem: str) -> None:
    with pytest.raises(InvalidData) as caught:
        read_folder(fill(tmp_path, *names))
    assert problem in caught.value.problem


def test_files_are_read_when_they_are_asked_for(tmp_path: Path) -> None:
    found = read_folder(fill(tmp_path, "a.jpg", "b.jpg"))
    (tmp_path / "b.jpg").unlink()

    assert found.pictures[0] == b"a.jpg"
    with pytest.raises(InvalidData, match=r"b\.jpg: cannot be read: No such file"):
        found.pictures[1]
