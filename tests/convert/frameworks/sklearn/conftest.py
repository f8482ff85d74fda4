"""Small data sets, a matrix of numbers and a dataframe of texts, categories and missing values; and `convert`."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas
import pytest
from numpy.typing import NDArray

from snooze.convert.attempts import Conversion
from snooze.convert.frameworks.interface import Framework, Original
from snooze.convert.frameworks.sklearn.framework import FRAMEWORK

Convert = Callable[..., tuple[Original, Conversion]]


@pytest.fixture
def convert(converter: Callable[[Framework], Convert]) -> Convert:
    """Make a function that converts a scikit-learn model, and compares it on rows or on rows drawn from it."""
    return converter(FRAMEWORK)


@pytest.fixture(scope="session")
def wine() -> tuple[NDArray[Any], NDArray[Any]]:
    """Scaled features of 178 wines, and their three classes."""
    from sklearn.datasets import load_wine
    from sklearn.preprocessing import StandardScaler

    rows, labels = load_wine(return_X_y=True)
    return np.asarray(StandardScaler().fit_transform(rows)), np.asarray(labels)


@pytest.fixture(scope="session")
def people() -> Any:
    """Return a dataframe of 200 people; `city` and `size` have missing values, `id` is different for each."""
    generator = np.random.default_rng(0)
    age = generator.integers(18, 90, 200)
    city = generator.choice(["Ulm", "Köln", "Bonn"], 200)
    size = generator.choice([1.5, 2.5, np.nan], 200)
    return pandas.DataFrame(
        {
            "id": [f"id{row}" for row in range(200)],
            "age": age,
            "hours per week": generator.normal(40, 5, 200),
            "city": pandas.Series(city).where(generator.random(200) > 0.2),
            "grade": generator.integers(0, 4, 200),
            "size": size,
            "note": generator.choice(["a good day", "kein schöner Tag", "so so"], 200),
            "works": np.where((age > 40) & (city != "Ulm"), "yes", "no"),
        }
    )
