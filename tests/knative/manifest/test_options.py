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
        ({"retention": -1.0}, "--retention", "expected 0 to 3600 whole seconds, got "),
        ({"retention": 1.5}, "--retention", "expected 0 to 3600 whole seconds, got 1.5 s"),
        ({"start_timeout": 0.0}, "--start-timeout", "expected 1 to 3600 whole seconds, got "),
        ({"pull_secret": ("Secret",)}, "--pull-secret", "expected lower-case letters, digits, '-' and '.'"),
        ({"pull_secret": ("a", "a")}, "--pull-secret", "a name is given twice"),
        ({"service_account": "a_b"}, "--service-account", "expected lower-case letters, digits, '-' and '.'"),
        ({"cpu_request": "1G"}, "--cpu-request", "expected cores such as 250m, 0.5 or 2, got '1G'"),
        ({"cpu_limit": "0"}, "--cpu-limit", "expected cores such as 250m, 0.5 or 2, got '0'"),
        ({"cpu_request": "2", "cpu_limit": "1500m"}, "--cpu-request", "2 is more than --cpu-limit 1500m"),
        ({"memory_request": "1GB"}, "--memory-request", "expected bytes such as 96Mi, 1G or 100000000, got '1GB'"),
        ({"memory_request": "1Gi", "memory_limit": "1G"}, "--memory-request", "1Gi is more than --memory-limit 1G"),
        ({"memory_limit": "5Mi"}, "--memory-limit", "expected at least 6Mi, got 5Mi"),
        ({"concurrency": 1001}, "--concurrency", "expected an integer from 0 to 1000, got 1001"),
        ({"target": 0}, "--target", "expected an integer from 1 to 2147483647, got 0"),
        ({"concurrency": 5, "target": 6}, "--target", "6 is more than --concurrency 5"),
        ({"burst_capacity": -2}, "--burst-capacity", "expected an integer from -1 to 2147483647, got -2"),
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
        {"retention": 3600.0},
        {"pull_secret": ("a", "b.c"), "service_account": "models"},
        {"cpu_request": "1", "cpu_limit": "1000m", "memory_request": "1Ki", "memory_limit": "6Mi"},
        {"concurrency": 0, "target": 5, "burst_capacity": -1},
        {"concurrency": 1000, "target": 1000},
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
        ("registry.example.com:5000/tumour:3", True),
        (f"tumour:latest@{DIGEST}", False),
        (f"tumour@{DIGEST}", False),
    ],
)
def test_warns_of_an_image_without_a_digest(image: str, warned: bool) -> None:
    warnings = options(image=image).warnings()

    assert len(warnings) == warned
    assert all(one.startswith(f"--image: {image} has no digest: its tag may name another") for one in warnings)


def test_reads_variables() -> None:
    assert parse_environment(["A=1", "B_2=x=y", "C="]) == {"A": "1", "B_2": "x=y", "C": ""}


@pytest.mark.parametrize("entry", ["PORT", "A B=1", "=1", "2A=1"])
def test_refuses_other_forms_of_variables(entry: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        parse_environment([entry])

    assert (caught.value.option, caught.value.problem) == ("--env", f"expected NAME=VALUE, got {entry!r}")
