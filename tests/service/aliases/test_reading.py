import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from snooze.service.aliases.reading import MAX_BYTES, Alias, read
from snooze.service.app import ROUTES
from snooze.service.errors import InvalidAliases

ALIAS = {"model": "topic", "input": "text", "answer": {"topic": "label"}}


def write(folder: Path, document: Any) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / "aliases.json"
    file.write_text(document if isinstance(document, str) else json.dumps(document))
    return file


def test_reads_the_aliases_of_several_files(tmp_path: Path) -> None:
    first = write(tmp_path / "a", {"/topic": ALIAS})
    second = write(tmp_path / "b", {"/api/v3/topics/": {"model": "topic", "version": 2, "answer": "label"}})

    assert read([first, second], ROUTES) == (
        Alias(first, "/topic", "topic", None, "text", {"topic": "label"}),
        Alias(second, "/api/v3/topics/", "topic", 2, None, "label"),
    )


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ("{", "is not valid JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ('{"/a": 1, "/a": 2}', "is not valid JSON: key '/a' is duplicated"),
        ("[]", "expected an object with a path for each alias, got []"),
        (" " * (MAX_BYTES + 1), f"is larger than {MAX_BYTES} bytes"),
    ],
)
def test_says_what_is_wrong_with_a_file(tmp_path: Path, document: str, problem: str) -> None:
    file = write(tmp_path, document)
    with pytest.raises(InvalidAliases) as caught:
        read([file], ROUTES)

    assert str(caught.value) == f"{file}: {problem}"
    assert (caught.value.file, caught.value.problem, caught.value.alias) == (file, problem, None)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("alias", "problem"),
    [
        (1, "expected an object with: model, version, input, answer, got 1"),
        (ALIAS | {"field": "x"}, "unknown key 'field'; expected: model, version, input, answer"),
        ({"answer": "label"}, "model: expected the name of a model, got null"),
        (ALIAS | {"version": "1"}, 'version: expected a positive integer, got "1"'),
        (ALIAS | {"version": 0}, "version: expected a positive integer, got 0"),
        (ALIAS | {"version": True}, "version: expected a positive integer, got true"),
        (ALIAS | {"input": ""}, 'input: expected the name of a field, got ""'),
        (ALIAS | {"input": ["a"]}, "input: expected the name of a field, got a list"),
        (
            {"model": "topic"},
            'answer: expected a string, an object or a list, got null; a constant is {"$const": ...}',
        ),
    ],
)
def test_says_what_is_wrong_with_an_alias(tmp_path: Path, alias: Any, problem: str) -> None:
    file = write(tmp_path, {"/topic": alias})
    with pytest.raises(InvalidAliases) as caught:
        read([file], ROUTES)

    assert str(caught.value) == f"{file}: alias '/topic': {problem}"
    assert caught.value.alias == "/topic"


@pytest.mark.parametrize(
    "path",
    ["", "/", "classify", "//classify", "/a//b", "/a?b", "/a#b", "/{model}", "/a%20b", "/a b", "/ä", "/..", "/a/./b",
     "/a\n", "/a\\b"],
)  # fmt: skip
def test_a_path_must_be_plain(tmp_path: Path, path: str) -> None:
    with pytest.raises(InvalidAliases, match="expected a plain path such as /classify"):
        read([write(tmp_path, {path: ALIAS})], ROUTES)


@pytest.mark.parametrize(
    "path", ["/...", "/.well-known/x", "/classify/", "/a:b", "/predict_topic", "/v1/classify", "/v2/x"]
)
def test_a_plain_path_is_free(tmp_path: Path, path: str) -> None:
    assert read([write(tmp_path, {path: ALIAS})], ROUTES)[0].path == path


@pytest.mark.parametrize("route", [route.path for route in ROUTES if route.path not in ("/", "/v2/", "/predict")])
def test_the_paths_of_the_server_are_taken(tmp_path: Path, route: str) -> None:
    path = re.sub(r"\{\w+\}", "any-name", route)
    with pytest.raises(InvalidAliases, match="the server itself answers"):
        read([write(tmp_path, {path: ALIAS})], ROUTES)


def test_the_path_predict_may_be_replaced(tmp_path: Path) -> None:
    assert len(read([write(tmp_path, {"/predict": ALIAS})], ROUTES)) == 1


def test_a_path_is_only_once(tmp_path: Path) -> None:
    first, second = (write(tmp_path / name, {"/topic": ALIAS}) for name in "ab")
    with pytest.raises(InvalidAliases, match=f"alias '/topic': is also in {first}"):
        read([first, second], ROUTES)


def link_out(file: Path) -> None:
    file.symlink_to(write(file.parent.parent / "other", {"/topic": ALIAS}))


def link_nowhere(file: Path) -> None:
    file.symlink_to("missing")


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (link_out, "is a link out of"),
        (link_nowhere, "cannot be read: No such file or directory"),
        (os.mkfifo, "is not a regular file"),
        (os.mkdir, "is not a regular file"),
    ],
)
def test_only_a_file_of_the_repository_is_read(tmp_path: Path, make: Callable[[Path], None], problem: str) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    make(folder / "aliases.json")
    with pytest.raises(InvalidAliases, match=problem):
        read([folder / "aliases.json"], ROUTES)


def test_a_link_within_the_repository_is_followed(tmp_path: Path) -> None:
    """As the volumes of Kubernetes have them."""
    data = write(tmp_path / "..data", {"/topic": ALIAS})
    (tmp_path / "aliases.json").symlink_to(data.relative_to(tmp_path))

    assert len(read([tmp_path / "aliases.json"], ROUTES)) == 1
