import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.client.conftest import Serve
from tests.end_to_end.servers import serve as run_server
from tests.knative.bundles import a_bundle
from tests.knative.rollout.judging.conftest import NEW, OLD, publish

from snooze.bundle.contract import Tensor
from snooze.bundle.store import Found
from snooze.client.exchange import Payload
from snooze.knative.rollout.judging.options import Options
from snooze.knative.rollout.judging.shadow import compare, shadow
from snooze.knative.rollout.live import Target

OPTIONS = Options()
BUNDLE = a_bundle()


def labels(*values: str) -> list[dict[str, Any]]:
    return [{"label": value, "confidence": 0.9} for value in values]


def values(*numbers: float) -> list[dict[str, Any]]:
    return [{"value": number} for number in numbers]


@pytest.mark.parametrize(
    ("old", "new", "share", "summary"),
    [
        (labels("a", "b", "b", "a"), labels("a", "b", "a", "a"), 0.25, "1 of 4 rows got another label (25 %)"),
        (labels("a"), labels("a"), 0.0, "0 of 1 row got another label (0 %)"),
        (values(100, 50, 50), values(110, 50, 40), 0.1, "the values of 3 rows differ by 10 %"),
        ([{"y": "ja"}] * 2, [{"y": "ja"}, {"y": "da"}], 0.5, "1 of 2 rows got another answer (50 %)"),
        (values(0, 0), values(0, 0), 0.0, "the values of 2 rows differ by 0 %"),
        (values(0, 0), values(0, 1), 1.0, "the values of 2 rows differ by 100 %"),
        ([{"value": [1, 2]}], [{"value": [1, 2, 3]}], 1.0, "the 1 row got answers of another size"),
        ([{"values": {"h": 1, "w": 3}}], [{"values": {"w": 3, "h": 2}}], 0.25, "the values of 1 row differ by 25 %"),
    ],
)
def test_compares_labels_by_row_and_values_as_a_whole(old: Any, new: Any, share: float, summary: str) -> None:
    difference = compare(old, new, BUNDLE)

    assert difference.share == pytest.approx(share)
    assert difference.summary == summary


def test_one_row_with_another_label_decides_nothing() -> None:
    assert not compare(labels("a"), labels("b"), BUNDLE).decides
    assert compare(labels("a", "a"), labels("b", "b"), BUNDLE).decides


@pytest.mark.parametrize(
    "changes",
    [{"task": "clustering"}, {"task": "transform"}, {"outputs": (Tensor("e", "FP32", (-1, 2), "embedding"),)}],
)
def test_numbers_of_clusters_and_embeddings_do_not_decide(changes: Mapping[str, Any]) -> None:
    bundle = BUNDLE._replace(**changes)

    assert not compare(values(1, 2), values(5, 9), bundle).decides
    if "task" in changes:
        assert not compare(labels("1", "2"), labels("2", "1"), bundle).decides


@pytest.mark.process
def test_two_versions_that_mostly_agree_pass_with_the_figures(
    targets: tuple[Target, Target], versions: list[Found]
) -> None:
    verdict = shadow(OPTIONS, *targets, versions[1], None)

    assert verdict == (8, (), f"{NEW} gives its golden outputs; 1 of 8 rows got another label (12.5 %)")


@pytest.mark.process
@pytest.mark.parametrize("judged", [True, False])
def test_versions_that_disagree_are_a_problem_if_that_is_asked_for(
    targets: tuple[Target, Target], tmp_path: Path, judged: bool
) -> None:
    found = publish(tmp_path / "models", 3, 0.0)
    options = OPTIONS if judged else OPTIONS._replace(abort_on=frozenset())
    with run_server(found.folder) as server:
        verdict = shadow(options, targets[0], targets[1]._replace(url=server.url), found, None)

    said = "3 of 8 rows got another label (37.5 %)"
    assert verdict.problems == ((f"{NEW} and {OLD}: {said}; 20 % may differ",) if judged else ())
    assert said in verdict.summary


@pytest.mark.process
def test_rows_that_were_given_are_asked_instead_of_the_golden_samples(
    targets: tuple[Target, Target], versions: list[Found]
) -> None:
    question = Payload(b'{"rows": [[0, 0, 0, 1], [9, 9, 9, 9], [1, 0, 0, 0]]}', {"Content-Type": "application/json"})

    assert shadow(OPTIONS, *targets, versions[1], [question] * 2).requests == 6


@pytest.mark.process
def test_an_image_with_another_version_is_found(targets: tuple[Target, Target], versions: list[Found]) -> None:
    old, new = targets

    verdict = shadow(OPTIONS, old, new._replace(url=old.url), versions[1], None)

    assert verdict.problems == (f"{NEW}: its image serves version 1 of tumour, the bundle is version 2",)


@pytest.mark.process
def test_an_image_with_another_model_of_the_same_version_is_found(
    targets: tuple[Target, Target], tmp_path: Path
) -> None:
    found = publish(tmp_path / "models", 2, 0.9)

    verdict = shadow(OPTIONS, *targets, found, None)

    assert verdict.problems == (
        f"{NEW}: golden sample 0 gives another 'label' than in the bundle: the image holds another model",
    )


@pytest.mark.process
def test_a_new_revision_that_does_not_answer_is_a_problem_and_an_old_one_is_not(
    targets: tuple[Target, Target], versions: list[Found]
) -> None:
    old, new = targets
    away = "http://127.0.0.1:9"

    assert "cannot answer its golden samples" in shadow(OPTIONS, old, new._replace(url=away), versions[1], None)[1][0]
    verdict = shadow(OPTIONS, old._replace(url=away), new, versions[1], None)
    assert verdict.problems == ()
    assert f"not compared, because {OLD} does not answer" in verdict.summary


@pytest.mark.process
@pytest.mark.parametrize(
    ("answer", "status", "problem"),
    [
        ({"error": "broken"}, 500, None),
        ({"error": "no such row"}, 400, "does not take the requests"),
        ({"outputs": []}, 200, None),
    ],
)
def test_an_old_revision_that_fails_is_not_held_against_the_new_one(
    targets: tuple[Target, Target], versions: list[Found], serve: Serve, answer: Any, status: int, problem: str | None
) -> None:
    metadata = {"inputs": [{"name": "features", "datatype": "FP32", "shape": [-1, 4]}]}
    url = serve(
        {
            "/v2/models/tumour": metadata,
            "/models/tumour/predict": (status, {}, json.dumps(answer).encode()),
        }
    )

    verdict = shadow(OPTIONS, targets[0]._replace(url=url), targets[1], versions[1], None)

    assert "not compared" in verdict.summary
    assert [problem in one for one in verdict.problems if problem] == ([True] if problem else [])


@pytest.mark.process
def test_other_inputs_are_a_problem_because_callers_would_fail(
    targets: tuple[Target, Target], versions: list[Found], serve: Serve
) -> None:
    metadata = {"inputs": [{"name": "features", "datatype": "FP32", "shape": [-1, 30]}]}
    old = targets[0]._replace(url=serve({"/v2/models/tumour": metadata}))

    (problem,) = shadow(OPTIONS, old, targets[1], versions[1], None).problems

    assert problem == (
        f"{NEW} takes other inputs (features FP32 [-1, 4]) than {OLD} (features FP32 [-1, 30]), so callers would fail"
    )
