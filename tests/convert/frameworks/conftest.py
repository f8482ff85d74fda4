"""Conversion of a model object by its framework, without publishing a bundle."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snooze.convert.attempts import Conversion
from snooze.convert.attempts import convert as convert_original
from snooze.convert.checks.dataset import Dataset, load
from snooze.convert.checks.synthetic import draw_data
from snooze.convert.frameworks.interface import Framework, Original

Convert = Callable[..., tuple[Original, Conversion]]


@pytest.fixture
def converter(tmp_path: Path) -> Callable[[Framework], Convert]:
    """Make a function that converts a model of a framework, and compares it on rows or on rows drawn from it."""

    def converter(framework: Framework) -> Convert:
        def convert(
            model: Any, rows: Any = None, labels: Any = None, names: tuple[str, ...] | None = None
        ) -> tuple[Original, Conversion]:
            inputs = framework.signature(model, None)
            labels = None if labels is None else np.asarray(labels)
            original = framework.describe(model, inputs, labels, names)
            data: Dataset = draw_data(inputs, 40) if rows is None else load(rows, None, inputs, None, None)
            return original, convert_original(original, data, tmp_path)

        return convert

    return converter
