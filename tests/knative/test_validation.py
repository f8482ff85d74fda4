from typing import Any

import pytest
from tests.knative.cases import CASES, POD, SIDECAR, VALID, Case, container, pod, scaling

from snooze.knative.errors import InvalidManifest, InvalidOption
from snooze.knative.fields import DEFAULT_FEATURES
from snooze.knative.validation import known_features, require_valid, validate

WRONG = [case for case in CASES if case.path]
RIGHT = [case for case in CASES if not case.path]


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case.name)
def test_names_the_field_the_problem_and_the_remedy(case: Case) -> None:
    problems = validate(case.manifest)

    found = [problem for problem in problems if problem.path == case.path and case.text in str(problem)]
    assert found, f"{case.path} not among {[str(problem) for problem in problems]}"
    assert all(problem.remedy for problem in problems)


@pytest.mark.parametrize("case", RIGHT, ids=lambda case: case.name)
def test_takes_what_is_right(case: Case) -> None:
    assert validate(case.manifest) == []


def test_every_case_has_a_name_of_its_own() -> None:
    names = [case.name for case in CASES]

    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("changes", "feature"),
    [
        (pod("nodeSelector", {"a": "b"}), "kubernetes.podspec-nodeselector"),
        (container("securityContext.capabilities.add", ["NET_ADMIN"]), "kubernetes.containerspec-addcapabilities"),
        (scaling("initial-scale", "0"), "allow-zero-initial-scale"),
    ],
)
def test_takes_a_field_whose_feature_the_cluster_has(changes: dict[str, Any], feature: str) -> None:
    manifest = Case("", changes).manifest

    assert [problem.warning for problem in validate(manifest)] == [False]
    assert validate(manifest, known_features({feature})) == []


def test_refuses_a_feature_that_knative_does_not_have() -> None:
    with pytest.raises(InvalidOption) as caught:
        known_features({"kubernetes.podspec-nodeselecter"})

    assert str(caught.value) == (
        "--cluster-feature: there is no feature 'kubernetes.podspec-nodeselecter'; "
        "did you mean 'kubernetes.podspec-nodeselector'?"
    )


def test_default_features_are_those_of_knative() -> None:
    assert known_features(frozenset()) == DEFAULT_FEATURES == {"multi-container", "kubernetes.podspec-volumes-emptydir"}


@pytest.mark.parametrize("manifest", [None, 7, "text", [], [VALID], {"metadata": 3}, {"spec": {"template": []}}])
def test_anything_that_is_no_manifest_is_refused_without_a_crash(manifest: object) -> None:
    with pytest.raises(InvalidManifest):
        require_valid({} if manifest is None else manifest)


def test_lists_errors_before_warnings_and_raises_for_errors_only() -> None:
    changes = container("startupProbe", {"httpGet": {"path": "/"}}) | pod("timeoutSeconds", 10)
    problems = validate(Case("", changes).manifest)

    assert [problem.warning for problem in problems] == [False, True]
    with pytest.raises(InvalidManifest) as caught:
        require_valid(Case("", changes).manifest)
    assert str(caught.value).startswith(f"the manifest would be refused: {POD}.timeoutSeconds: 10 s is also")
    assert "startupProbe" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_an_empty_field_counts_as_absent() -> None:
    changes = pod("nodeSelector", None) | pod("nodeName", "") | container("tty", False) | container("env", None)

    assert validate(Case("", changes).manifest) == []


def test_a_second_container_needs_a_feature_that_a_cluster_may_have_turned_off() -> None:
    manifest = Case("", container("name", "server") | pod("containers[1]", SIDECAR)).manifest

    problems = validate(manifest, DEFAULT_FEATURES - {"multi-container"})
    assert [str(problem) for problem in problems] == [
        f"{POD}.containers: the cluster's feature multi-container is off; keep one container"
    ]
