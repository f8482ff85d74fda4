"""The files of aliases: a JSON object of paths, and what each of them asks and answers."""

import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from snooze.bundle import json_text
from snooze.bundle.codec import show
from snooze.bundle.errors import InvalidContract, OutsideFolder
from snooze.bundle.store import resolve
from snooze.service.aliases import template
from snooze.service.errors import InvalidAliases
from snooze.service.messages import Route

MAX_BYTES: Final = 2**18
PATH: Final = re.compile(r"(/(?!\.\.?(/|$))[\w.~!$&'()*+,;=:@-]+)+/?", re.ASCII)
KEYS: Final = ("model", "version", "input", "answer")
REPLACEABLE: Final = "/predict"  # what most servers call it; the models keep their own paths


class Alias(NamedTuple):
    """
    A further path of a model. `version` is None for the one that answers by default.

    `input` is the field of the body that holds the rows; None is `rows`, or the body itself. `answer` describes
    a template.
    """

    file: Path
    path: str
    model: str
    version: int | None
    input: str | None
    answer: Any


def read(files: Iterable[Path], routes: Sequence[Route]) -> tuple[Alias, ...]:
    """
    Return the aliases in some files. `routes` are the paths that they must not take.

    Raises:
        InvalidAliases: names the file, the alias, what is wrong and what was expected.
    """
    aliases: dict[str, Alias] = {}
    for file in files:
        for path, document in _read_file(file).items():
            alias = _parse(file, path, document)
            first = aliases.setdefault(path, alias)
            if first is not alias:
                raise InvalidAliases(file, f"is also in {first.file}", path)
            _check_path(alias, routes)
    return tuple(aliases.values())


def _read_file(file: Path) -> Mapping[str, Any]:
    try:
        real = resolve(file.parent, file.name)
        if not stat.S_ISREG(real.stat().st_mode):  # reading a named pipe would never end
            raise InvalidAliases(file, "is not a regular file")
        with real.open("rb") as opened:
            text = opened.read(MAX_BYTES + 1)
        if len(text) > MAX_BYTES:
            raise InvalidAliases(file, f"is larger than {MAX_BYTES} bytes")
        document = json_text.parse(text)
    except OSError as error:
        raise InvalidAliases(file, f"cannot be read: {error.strerror}") from None
    except OutsideFolder:
        raise InvalidAliases(file, f"is a link out of {file.parent}; a repository contains its own files") from None
    except InvalidContract as error:
        raise InvalidAliases(file, error.problem) from None
    if type(document) is not dict:
        raise InvalidAliases(file, f"expected an object with a path for each alias, got {show(document)}")
    return document


def _parse(file: Path, path: str, document: Any) -> Alias:
    if type(document) is not dict:
        raise InvalidAliases(file, f"expected an object with: {', '.join(KEYS)}, got {show(document)}", path)
    for key in document:
        if key not in KEYS:
            raise InvalidAliases(file, f"unknown key {key!r}; expected: {', '.join(KEYS)}", path)
    model, version, field, answer = map(document.get, KEYS)
    if type(model) is not str:
        raise InvalidAliases(file, f"model: expected the name of a model, got {show(model)}", path)
    if version is not None and (type(version) is not int or version < 1):
        raise InvalidAliases(file, f"version: expected a positive integer, got {show(version)}", path)
    if field is not None and (type(field) is not str or not field):
        raise InvalidAliases(file, f"input: expected the name of a field, got {show(field)}", path)
    try:
        template.parse(answer)
    except ValueError as error:
        raise InvalidAliases(file, f"answer: {error}", path) from None
    return Alias(file, path, model, version, field, answer)


def _check_path(alias: Alias, routes: Sequence[Route]) -> None:
    if not PATH.fullmatch(alias.path):
        raise InvalidAliases(alias.file, "expected a plain path such as /classify or /api/v3/topics", alias.path)
    for route in routes:
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(route.path))
        if re.fullmatch(pattern, alias.path) and alias.path != REPLACEABLE:
            raise InvalidAliases(alias.file, f"the server itself answers {route.path}; use another path", alias.path)
