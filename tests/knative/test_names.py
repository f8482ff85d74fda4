import pytest
from hypothesis import given
from hypothesis import strategies as st

from snooze.knative.errors import InvalidName
from snooze.knative.names import DNS_1035, LABEL_VALUE, LONGEST, from_model, label_value, service_name


@pytest.mark.parametrize(
    ("model", "service"),
    [("tumour", "tumour"), ("Iris_v2.1", "iris-v2-1"), ("2024-sales", "model-2024-sales"), ("a--b..c", "a-b-c")],
)
def test_a_models_name_becomes_a_services(model: str, service: str) -> None:
    assert from_model(model) == service


@given(st.from_regex(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,40}[A-Za-z0-9])?", fullmatch=True))
def test_every_models_name_becomes_a_legal_one(model: str) -> None:
    assert DNS_1035.fullmatch(from_model(model))


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("Tumour", "must be lower case letters, digits and '-', begin with a letter, end without '-'"),
        ("tumour-", "must be lower case letters, digits and '-', begin with a letter, end without '-'"),
        ("a" * 51, "has 51 characters, at most 50 leave room for revisions and tags"),
    ],
)
def test_says_why_a_name_is_none(name: str, problem: str) -> None:
    with pytest.raises(InvalidName) as caught:
        service_name(name)

    assert str(caught.value) == f"service name {name!r}: {problem}; choose another with --name"


def test_a_name_may_have_fifty_characters() -> None:
    assert service_name("a" * LONGEST) == "a" * 50


@given(st.text(min_size=1, max_size=100))
def test_anything_becomes_a_labels_value(text: str) -> None:
    assert LABEL_VALUE.fullmatch(label_value(text))
