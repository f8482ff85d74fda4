from pathlib import Path

import pytest

from snooze.service.errors import InvalidSetting
from snooze.service.settings import Settings, documented


def test_an_empty_environment_gives_the_defaults() -> None:
    settings = Settings.from_environ({})

    assert settings == Settings()
    assert (settings.port, settings.models, settings.max_in_flight) == (8080, (Path("/models"),), 1024)


def test_the_environment_wins_over_the_defaults_of_the_caller() -> None:
    settings = Settings.from_environ({"PORT": "9000"}, host="127.0.0.1", port=1)

    assert (settings.host, settings.port) == ("127.0.0.1", 9000)


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("PORT", "0", "port", 0),
        ("SNOOZE_MODELS", "/a:/b", "models", (Path("/a"), Path("/b"))),
        ("SNOOZE_ALIASES", "/etc/näh/aliases.json", "aliases", "/etc/näh/aliases.json"),
        ("SNOOZE_MAX_BODY", "64 kB", "max_body", 64_000),
        ("SNOOZE_MAX_BODY", "1GiB", "max_body", 2**30),
        ("SNOOZE_MAX_BODY", "1M", "max_body", 10**6),
        ("SNOOZE_IDLE", "1.5m", "idle", 90.0),
        ("SNOOZE_IDLE", "5min", "idle", 300.0),
        ("SNOOZE_TIMEOUT", "250ms", "timeout", 0.25),
        ("SNOOZE_GRACE", "5", "grace", 5.0),
        ("SNOOZE_MAX_WAIT", "2s", "max_wait", 2.0),
        ("SNOOZE_BATCHING", "off", "batching", "off"),
        ("SNOOZE_READY", "any", "ready", "any"),
        ("SNOOZE_LOG", "json", "log", "json"),
        ("K_REVISION", "tumour-00001", "revision", "tumour-00001"),
        ("SNOOZE_WATCH", "on", "watch", True),
        ("SNOOZE_WATCH", "0", "watch", False),
        ("SNOOZE_ALLOW_LOAD", "True", "allow_load", True),
        ("SNOOZE_PAGES", "off", "pages", False),
        ("SNOOZE_REPORT", "on", "report", True),
        ("PORT", "", "port", 8080),
    ],
)
def test_reads_each_kind_of_value(variable: str, text: str, field: str, value: object) -> None:
    assert getattr(Settings.from_environ({variable: text}), field) == value


@pytest.mark.parametrize(
    ("variable", "text", "problem"),
    [
        ("PORT", "http", "expected an integer from 0 to 65535"),
        ("PORT", "65536", "expected an integer from 0 to 65535"),
        ("PORT", "-1", "expected an integer from 0 to 65535"),
        ("SNOOZE_MAX_BODY", "-1", "expected a size such as 1000000, 64KiB or 4M"),
        ("SNOOZE_MAX_BODY", "16 apples", "expected a size such as 1000000, 64KiB or 4M"),
        ("SNOOZE_IDLE", "nan", "expected a duration such as 500ms, 60s or 5m"),
        ("SNOOZE_IDLE", "-1s", "expected a duration such as 500ms, 60s or 5m"),
        ("SNOOZE_READY", "some", "expected one of: all, any"),
        ("SNOOZE_LOG", "loud", "expected one of: text, json, off"),
        ("SNOOZE_WATCH", "yes", "expected one of: on, off"),
        ("SNOOZE_MAX_IN_FLIGHT", "0", "expected an integer from 1 to 1000000"),
        ("K_REVISION", "a\nb", "expected printable ASCII"),
    ],
)
def test_a_bad_value_names_the_variable(variable: str, text: str, problem: str) -> None:
    with pytest.raises(InvalidSetting) as caught:
        Settings.from_environ({variable: text})

    assert str(caught.value) == f"{variable}={text!r}: {problem}"
    assert caught.value.exit_code == 2


def test_what_is_written_to_an_environment_is_read_back() -> None:
    settings = Settings(
        host="::1", port=1, models=(Path("/a"), Path("/b")), idle=2.5, watch=True, timeout=0.25, revision="r"
    )

    assert Settings.from_environ(settings.to_environ()) == settings


def test_every_setting_is_documented() -> None:
    assert len(documented()) == len(Settings._fields)
    assert len({variable for variable, _, _ in documented()}) == len(Settings._fields)
    assert all(meaning for _, _, meaning in documented())
