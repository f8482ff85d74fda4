"""A JSON object that is read key by key, so that each error names the one field that does not fit."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar, cast

from snooze.bundle.errors import InvalidContract

T = TypeVar("T")

LARGEST_WHOLE: Final = 2**53 - 1  # beyond it, programs that hold JSON numbers as doubles would read another number
LARGEST: Final = 1e300


class Fields:
    """The fields of the object at `path` of `bundle.json`. What was taken is no longer in `rest`."""

    def __init__(self, path: str, value: object) -> None:
        if not isinstance(value, dict):
            raise InvalidContract(path or "the file", f"expected an object, got {shown(value)}")
        self.path = path
        self.rest: dict[str, Any] = dict(value)

    def where(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def take(self, key: str) -> object:
        if key not in self.rest:
            raise InvalidContract(self.where(key), "is missing")
        return self.rest.pop(key)

    def close(self) -> None:
        """Refuse the first key that nobody took."""
        for key in self.rest:
            raise InvalidContract(self.where(key), "is not a key of the contract")

    def inner(self, key: str) -> "Fields":
        return Fields(self.where(key), self.take(key))

    def optional(self, key: str, read: Callable[["Fields"], T]) -> T | None:
        value = self.take(key)
        return None if value is None else read(Fields(self.where(key), value))

    def items(self, key: str) -> list[Any]:
        value = self.take(key)
        if not isinstance(value, list):
            raise InvalidContract(self.where(key), f"expected a list, got {shown(value)}")
        return value

    def objects(self, key: str, read: Callable[["Fields"], T]) -> tuple[T, ...]:
        where = self.where(key)
        return tuple(read(Fields(f"{where}[{i}]", value)) for i, value in enumerate(self.items(key)))

    def mapping(self, key: str, read: Callable[[str, str, object], T]) -> dict[str, T]:
        """Return an object with keys of its own: `read` gets the place, the key and the value of each."""
        inner = self.inner(key)
        return {name: read(inner.where(name), name, value) for name, value in inner.rest.items()}

    def free(self, key: str) -> Mapping[str, Any]:
        """Return an object that may hold anything."""
        return self.inner(key).rest

    def text(self, key: str, fits: Callable[[str], bool] | None = None, expected: str = "a text") -> str:
        value = self.take(key)
        if not isinstance(value, str) or (fits is not None and not fits(value)):
            raise InvalidContract(self.where(key), f"expected {expected}, got {shown(value)}")
        return value

    def text_or_null(self, key: str) -> str | None:
        value = self.take(key)
        if value is not None and not isinstance(value, str):
            raise InvalidContract(self.where(key), f"expected a text or null, got {shown(value)}")
        return value

    def texts_or_null(self, key: str) -> tuple[str, ...] | None:
        value = self.take(key)
        if value is None:
            return None
        if not isinstance(value, list):
            raise InvalidContract(self.where(key), f"expected a list or null, got {shown(value)}")
        for i, text in enumerate(value):
            if not isinstance(text, str):
                raise InvalidContract(f"{self.where(key)}[{i}]", f"expected a text, got {shown(text)}")
        return tuple(value)

    def choice(self, key: str, known: tuple[str, ...]) -> str:
        value = self.choice_or_null(key, known)
        if value is None:
            raise InvalidContract(self.where(key), f"expected one of {', '.join(known)}, got null")
        return value

    def choice_or_null(self, key: str, known: tuple[str, ...]) -> str | None:
        value = self.take(key)
        if value is not None and (not isinstance(value, str) or value not in known):
            raise InvalidContract(self.where(key), f"expected one of {', '.join(known)}, got {shown(value)}")
        return value

    def whole(self, key: str, least: int, most: int = LARGEST_WHOLE) -> int:
        return whole(self.where(key), self.take(key), least, most)

    def number(self, key: str) -> float:
        value = self.take(key)
        if type(value) not in (int, float) or not 0 <= cast("float", value) <= LARGEST:
            raise InvalidContract(self.where(key), f"expected a number of at least 0, got {shown(value)}")
        return float(cast("float", value))


def whole(where: str, value: object, least: int, most: int = LARGEST_WHOLE) -> int:
    """Return a whole number within limits. `true` and 1.0 are none."""
    if type(value) is not int or not least <= value <= most:
        raise InvalidContract(where, f"expected a whole number from {least} to {most}, got {shown(value)}")
    return value


def shown(value: object) -> str:
    """Return a JSON value as a message shows it: itself, or how it begins."""
    if isinstance(value, dict | list) and value:
        return "an object" if isinstance(value, dict) else "a list"
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
