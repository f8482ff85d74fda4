import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.knative import kubectl_double
from tests.knative.bundles import a_bundle

from snooze.bundle.draft import Draft
from snooze.bundle.samples import Sample, write_samples


@pytest.fixture
def on_disk(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes bundles into a repository; their model files are not models."""

    def make(*runs: tuple[int, float], name: str = "tumour", **changes: Any) -> Path:
        bundle = a_bundle(*runs, name=name, **changes)
        with Draft(tmp_path / "models", name) as draft:
            (draft.folder / "model.onnx").write_bytes(os.urandom(64))
            rows = np.zeros((2, bundle.inputs[0].shape[1]), np.float32)
            sample = Sample({"features": rows}, {"probabilities": np.full((2, 2), 0.5, np.float32)})
            write_samples(draft.folder / "samples.npz", [sample])
            return draft.publish(bundle)

    return make


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> kubectl_double.Kubectl:
    """A cluster without anything in it, behind the `kubectl` on the PATH."""
    found = kubectl_double.install(tmp_path / "kubectl-double")
    monkeypatch.setenv("PATH", kubectl_double.path(found))
    return found
