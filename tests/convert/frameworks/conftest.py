"""Conversion of a model object by its framework, without publishing a bundle."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snooze.convert.attempts import Conversion
from snooze.convert.attempts import convert as convert_original
from snooze.convert.checks.dataset import Data, load, read_rows
from snooze.convert.checks.synthetic import draw_data
from snooze.convert.frameworks.interface import Framework, Hints, Original

Convert = Callable[..., tuple[Original, Conversion]]


@pytest.fixture
def converter(tmp_path: Path) -> Callable[[Framework], Convert]:
    """Make a function that converts a model of a framework, and compares it on rows or on rows drawn from it."""

    def converter(framework: Framework) -> Convert:
        def convert(
            model: Any, data: Data | None = None, labels: Any = None, names: tuple[str, ...] | None = None
        ) -> tuple[Original, Conversion]:
            labels = None if labels is None else np.asarray(labels)
            rows = None if data is None else read_rows(data, labels, None)
            inputs = framework.signature(model, rows.arrays if rows else None)
            original = framework.describe(model, inputs, Hints(labels, names))
            dataset = load(rows, inputs, framework.columns(model), "data") if rows else draw_data(inputs, 40)
            return original, convert_original(original, dataset, tmp_path)

        return convert

    return converter
