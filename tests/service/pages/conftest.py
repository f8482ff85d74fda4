"""Models of the pages' tests, in memory."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.service.conftest import Graph, publish

from snooze.bundle.adapters import registry
from snooze.bundle.store import read
from snooze.service.runtime.model import Model, load


def load_model(
    folder: Path, graph: Graph, labels: tuple[str, ...] | None = None, adapter: Mapping[str, Any] | None = None
) -> Model:
    """Return a model with its adapter, which is not proved."""
    bundle = publish(folder, "model", graph, labels, adapter=adapter, raw=None if adapter is None else [b""])
    model = load(bundle, read(bundle), 1)
    model.adapter = registry.load(model.bundle, bundle)
    return model
