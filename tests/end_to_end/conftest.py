"""One trained model, its bundle and a server of it, made once for all tests of the whole path."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.end_to_end.servers import Server, serve

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

CLASS_NAMES = ("malignant", "benign")
MAX_BODY = 2**20


class Trained:
    """The breast cancer data, and two models trained on different halves of it: their answers differ."""

    def __init__(self) -> None:
        from sklearn.datasets import load_breast_cancer

        rows, self.classes = load_breast_cancer(return_X_y=True)
        self.rows: NDArray[np.float32] = rows.astype(np.float32)
        self.first, self.second = self._fit(0), self._fit(1)

    def _fit(self, half: int) -> "Pipeline":
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        return model.fit(self.rows[half::2], self.classes[half::2])

    def convert(self, model: "Pipeline", repository: Path) -> int:
        """Convert `model` to the next version of `tumour`, and return its number."""
        from snooze.convert import convert

        data = {"features": self.rows, "y": self.classes}
        return convert(model, name="tumour", target=repository, data=data, labels=CLASS_NAMES).bundle.version


@pytest.fixture(scope="session")
def trained() -> Trained:
    return Trained()


@pytest.fixture(scope="session")
def repository(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with version 1 of `tumour`. Copy it before you change it."""
    folder = tmp_path_factory.mktemp("end-to-end") / "models"
    trained.convert(trained.first, folder)
    return folder


@pytest.fixture(scope="session")
def server(repository: Path) -> Iterator[Server]:
    with serve(repository, "--max-body", str(MAX_BODY)) as server:
        yield server
