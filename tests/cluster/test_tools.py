"""Commands around a service: an image without an engine, and the benchmark of wakes."""

import json

import pytest
from tests.cluster.callers import Question, ask
from tests.cluster.conftest import Figures
from tests.cluster.services import Service

from snooze.benchmarks.load.outcomes import Outcome

pytestmark = pytest.mark.cluster


def test_a_bundle_that_snooze_image_adds_to_the_server_image_is_deployed(service: Service, figures: Figures) -> None:
    image = f"{service.images}/layered:{service.name}"
    made = service.snooze(
        *("image", str(service.models / "tumour/2"), "--tag", image, "--insecure"),
        *("--server-image", f"{service.images}/server:1"),
    )
    assert made.returncode == 0, made.stderr
    url = service.deploy("tumour/2", image=image)
    seen = ask(url, Question.of(service.models / "tumour/2"))
    figures.add([seen])

    assert seen.outcome == Outcome.ANSWERED, seen.problem
    assert seen.headers["snooze-version"] == "2"


def test_wakes_are_measured(service: Service) -> None:
    service.deploy("tumour/1")
    namespace = ("--namespace", service.cluster.namespace)
    done = service.snooze("bench", "cold", "--knative", service.name, "-n", "2", "--skip-drain", *namespace, "--json")

    assert done.returncode == 0, done.stderr
    assert service.name in json.dumps(json.loads(done.stdout))
