from typing import Any

import pytest

from snooze.bundle.errors import InvalidOption
from snooze.knative.manifest.options import Options, parse_environment

DIGEST = "sha256:" + "0" * 64


def options(**changes: Any) -> Options:
    return Options(**{"image": "registry.example.com/tumour:3", "name": "tumour", **changes})


@pytest.mark.parametrize(
    ("changes", "option", "problem"),
    [
        ({"image": "Tumour:3"}, "--image", "expected [registry/]repository[:tag]"),
        ({"image": ""}, "--image", "expected [registry/]repository[:tag]"),
        ({"image": "tumour@sha256:12"}, "--image", "expected [registry/]repository[:tag]"),
        ({"name": "Tumour"}, "--name", "'Tumour' must consist of"),
        ({"namespace": "My Models"}, "--namespace", "expected lower-case letters, digits and '-', got 'My Models'"),
        ({"min_scale": -1}, "--min-scale", "expected an integer from 0 to 2147483647, got -1"),
        ({"max_scale": 2**31}, "--max-scale", "expected an integer from 0 to 2147483647, got 2147483648"),
        ({"min_scale": 3, "max_scale": 2}, "--max-scale", "2 is less than --min-scale 3"),
        ({"window": 5.0}, "--window", "expected 6 to 3600 whole seconds, got 5 s"),
        ({"window": 6.5}, "--window", "expected 6 to 3600 whole seconds, got 6.5 s"),
        ({"window": 3601.0}, "--window", "expected 6 to 3600 whole seconds, got "),
        ({"timeout": 44.0}, "--timeout", "expected 45 to 600 whole seconds, got 44 s"),
        ({"timeout": 601.0}, "--timeout", "expected 45 to 600 whole seconds, got 601 s"),
        ({"environment": {"PORT": "80"}}, "--env", "Knative sets PORT itself; remove it"),
        ({"environment": {"K_REVISION": "a"}}, "--env", "Knative sets K_REVISION itself; remove it"),
        ({"environment": {"SNOOZE_MAX_BODY": "9"}}, "--env", "the memory limit depends on SNOOZE_MAX_BODY"),
        ({"user": 0}, "--user", "expected an integer from 1 to 2147483647, got 0"),
    ],
    ids=str,
)
def test_refuses_what_knative_or_kubernetes_would(changes: dict[str, Any], option: str, problem: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        options(**changes)

    assert caught.value.option == option
    assert caught.value.problem.startswith(problem)


@pytest.mark.parametrize(
    "changes",
    [
        {"image": f"localhost:5000/a/tumour@{DIGEST}"},
        {"image": "tumour"},
        {"min_scale": 3, "max_scale": 3},
        {"min_scale": 3, "max_scale": 0},  # 0 is no limit
        {"window": 6.0, "timeout": 600.0},
        {"user": None},
        {"user": 1000},
    ],
    ids=str,
)
def test_accepts_the_limits(changes: dict[str, Any]) -> None:
    options(**changes)


@pytest.mark.parametrize(
    ("image", "warned"),
    [
        ("tumour", True),
        ("tumour:latest", True),
        ("registry.example.com:5000/tumour", True),
        ("tumour:3", False),
        ("registry.example.com:5000/tumour:latest-3", False),
        (f"tumour:latest@{DIGEST}", False),
    ],
)
def test_warns_of_an_image_that_is_pulled_at_each_cold_start(image: str, warned: bool) -> None:
    warnings = options(image=image).warnings()

    assert len(warnings) == warned
    assert all(warning.startswith(f"--image: {image} is pulled again") for warning in warnings)


def test_reads_variables() -> None:
    assert parse_environment(["A=1", "B_2=x=y", "C="]) == {"A": "1", "B_2": "x=y", "C": ""}


@pytest.mark.parametrize("entry", ["PORT", "A B=1", "=1", "2A=1"])
def test_refuses_other_forms_of_variables(entry: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        parse_environment([entry])

    assert (caught.value.option, caught.value.problem) == ("--env", f"expected NAME=VALUE, got {entry!r}")
