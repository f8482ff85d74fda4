import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.knative.bundles import a_bundle

from snooze.bundle.draft import Draft
from snooze.bundle.samples import Samples, write_samples


@pytest.fixture
def on_disk(tmp_path: Path) -> Callable[..., Path]:
    """A maker of bundles in a repository: its model is never run here, so its file holds no real one."""

    def make(*runs: tuple[int, float], name: str = "tumour", **profile: Any) -> Path:
        bundle = a_bundle(*runs, name=name, **profile)
        with Draft(tmp_path / "models", name) as draft:
            (draft.folder / "model.onnx").write_bytes(os.urandom(64))
            rows = np.zeros((2, bundle.inputs[0].shape[1]), np.float32)
            samples = Samples({"features": rows}, {"probabilities": np.full((2, 2), 0.5, np.float32)})
            write_samples(draft.folder / "samples.npz", samples)
            return draft.publish(bundle)

    return make
