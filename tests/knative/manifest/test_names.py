import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snooze.bundle.errors import InvalidOption
from snooze.knative.manifest.names import (
    DNS_1035,
    DNS_1123_SUBDOMAIN,
    MAX_SERVICE_NAME,
    check_service_name,
    from_model,
    label_value,
    revision_of,
    tag_of,
)

LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")


@pytest.mark.parametrize(
    ("model", "service"),
    [("tumour", "tumour"), ("Iris_v2.1", "iris-v2-1"), ("2024-sales", "model-2024-sales"), ("a--b..c", "a-b-c")],
)
def test_makes_a_service_name_from_a_model_name(model: str, service: str) -> None:
    assert from_model(model) == service


@given(st.from_regex(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,40}[A-Za-z0-9])?", fullmatch=True))
def test_every_short_model_name_gives_a_valid_service_name(model: str) -> None:
    assert DNS_1035.fullmatch(from_model(model))


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("Tumour", "must consist of lower-case letters, digits and '-', begin with a letter and not end with '-'"),
        ("tumour-", "must consist of lower-case letters, digits and '-', begin with a letter and not end with '-'"),
        ("a" * 51, "has 51 characters; at most 50 leave room for revisions and tags"),
    ],
)
def test_refuses_names_that_no_service_can_have(name: str, problem: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        check_service_name(name)

    assert (caught.value.option, caught.value.problem) == ("--name", f"{name!r} {problem}")


def test_accepts_fifty_characters() -> None:
    assert check_service_name("a" * MAX_SERVICE_NAME) == "a" * 50


@given(st.text(min_size=1, max_size=100))
def test_any_text_becomes_a_valid_label_value(text: str) -> None:
    assert LABEL_VALUE.fullmatch(label_value(text))


def test_a_tag_is_the_version_and_a_hash_of_the_template_without_its_name() -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"timeoutSeconds": 60}}
    named = {"metadata": {"name": "tumour-v3-a1b2c3", "labels": {"a": "b"}}, "spec": {"timeoutSeconds": 60}}
    other = {"metadata": {"labels": {"a": "b"}}, "spec": {"timeoutSeconds": 61}}

    assert re.fullmatch(r"v3-[0-9a-f]{6}", tag_of(3, template))
    assert tag_of(3, template) == tag_of(3, named)
    assert tag_of(3, template) != tag_of(3, other)


def test_the_longest_name_has_room_for_four_digits_of_a_version() -> None:
    name = "a" * MAX_SERVICE_NAME

    assert len(revision_of(name, "v9999-a1b2c3")) == 63
    with pytest.raises(InvalidOption) as caught:
        revision_of(name, "v10000-a1b2c3")
    assert (caught.value.option, caught.value.problem) == (
        "--name",
        f"{name!r} has 50 characters; for the revision {name}-v10000-a1b2c3 at most 49 are possible",
    )


@pytest.mark.parametrize(
    ("name", "valid"),
    [
        *(("regcred", True), ("a.b-c.1", True), ("a" * 63, True), (".".join(["a" * 63] * 3 + ["a" * 61]), True)),
        *(
            ("a" * 64, False),
            ("a..b", False),
            ("A", False),
            ("-a", False),
            ("", False),
            (".".join(["a" * 63] * 4), False),
        ),
    ],
)
def test_knows_the_names_of_secrets_and_service_accounts(name: str, valid: bool) -> None:
    assert bool(DNS_1123_SUBDOMAIN.fullmatch(name)) == valid
