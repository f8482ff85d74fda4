import sys

import pytest

from snooze.bundle.errors import MissingExtra
from snooze.convert.extras import import_extra


def test_returns_the_first_module() -> None:
    assert import_extra("any", "json", "csv").__name__ == "json"


def test_names_the_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "csv", None)

    with pytest.raises(MissingExtra) as caught:
        import_extra("tables", "json", "csv")

    assert (caught.value.module, caught.value.extra) == ("csv", "tables")


def test_a_broken_package_is_not_a_missing_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "tomllib", raising=False)
    monkeypatch.delitem(sys.modules, "tomllib._parser", raising=False)
    monkeypatch.setitem(sys.modules, "tomllib._re", None)

    with pytest.raises(ModuleNotFoundError):
        import_extra("any", "tomllib")
