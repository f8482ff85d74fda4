"""A small data set for classifiers."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray


@pytest.fixture(scope="session")
def wine() -> tuple[NDArray[Any], NDArray[Any]]:
    """Scaled features of 178 wines, and their three classes."""
    from sklearn.datasets import load_wine
    from sklearn.preprocessing import StandardScaler

    rows, labels = load_wine(return_X_y=True)
    return np.asarray(StandardScaler().fit_transform(rows)), np.asarray(labels)
