"""The printed command and the written manifest on a real Knative: the service answers, sleeps and wakes."""

import subprocess

import pytest
from tests.cluster.callers import Question, ask
from tests.cluster.conftest import Figures
from tests.cluster.services import Service

from snooze.benchmarks.load.outcomes import Outcome

pytestmark = pytest.mark.cluster


def test_the_printed_command_makes_a_service_that_scales_to_zero_and_back(
    service: Service, question: Question, figures: Figures
) -> None:
    output = service.write("tumour/1")
    script = output[output.index("kn service create ") :]
    subprocess.run(["sh", "-e", "-c", script], check=True, capture_output=True, timeout=300)

    assert_scales_to_zero_and_back(service, question, figures)


@pytest.mark.parametrize("options", [[], ["--user", "none"], ["--scratch"]], ids=" ".join)
def test_the_manifest_makes_a_service_that_scales_to_zero_and_back(
    options: list[str], service: Service, question: Question, figures: Figures
) -> None:
    service.write("tumour/1", *options)
    subprocess.run(["kubectl", "apply", "-f", service.folder / f"{service.name}.yaml"], check=True, capture_output=True)

    assert_scales_to_zero_and_back(service, question, figures)


def test_apply_can_be_repeated(service: Service, question: Question, figures: Figures) -> None:
    url = service.deploy("tumour/1")
    assert_answers(url, question, figures)
    service.deploy("tumour/1")

    assert len(service.revisions()) == 1


def test_the_cluster_accepts_the_manifest_without_a_warning(service: Service) -> None:
    service.write("tumour/1", "--private")
    file = service.folder / f"{service.name}.yaml"
    done = subprocess.run(
        ["kubectl", "apply", "--dry-run=server", "-f", file], check=True, capture_output=True, text=True
    )

    assert "created (server dry run)" in done.stdout
    assert done.stderr == ""


def assert_scales_to_zero_and_back(service: Service, question: Question, figures: Figures) -> None:
    url = service.url()
    assert_answers(url, question, figures)
    service.wait_for_no_pods()
    assert_answers(url, question, figures)
    assert service.pods()


def assert_answers(url: str, question: Question, figures: Figures) -> None:
    seen = ask(url, question)
    figures.add([seen])
    assert seen.outcome == Outcome.ANSWERED, seen.problem
