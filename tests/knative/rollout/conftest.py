from collections.abc import Callable
from typing import Any

import pytest
from tests.knative.bundles import a_bundle, size_of
from tests.knative.rollout.knative_double import KnativeDouble, make_double

from snooze.knative.manifest.options import Options
from snooze.knative.rollout.deployment import Deployment, prepare

Deploy = Callable[..., Deployment]


@pytest.fixture
def deploy() -> Deploy:
    """Return a function that makes deployments of a version of the model."""

    def make(version: int = 2, **changes: Any) -> Deployment:
        bundle = a_bundle()
        options = Options(**{"image": f"registry.example.com/tumour:{version}", "name": "tumour", **changes})
        return prepare(bundle, f"sha256:{version}", size_of(bundle, 50), options)

    return make


@pytest.fixture
def knative(deploy: Deploy) -> KnativeDouble:
    """Return a double of a cluster in which version 1 serves."""
    double = make_double()
    spec = deploy(1).manifest["spec"]
    double.create(spec["template"], spec["traffic"])
    return double
