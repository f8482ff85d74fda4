"""Models trained once for all tests, and measurements cut short where their length is not the subject."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from snooze.convert import Converted, convert, profile
from snooze.convert.checks.cases import Rows
from snooze.convert.frameworks.interface import Original
from snooze.convert.frameworks.keras import framework as from_tensorflow
from snooze.convert.quantization import timing

Data = tuple[NDArray[Any], NDArray[Any]]
EARLIER = 400  # rows to train on; the others are held out


@pytest.fixture(scope="session", autouse=True)
def _short_measurements() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timing, "ROUNDS", 2)
        patch.setattr(timing, "SECONDS", 0.002)
        patch.setattr(timing, "SECONDS_OF_STARTS", 0.002)
        patch.setattr(profile, "PROCESSES", 1)
        patch.setattr(profile, "SECONDS_PER_SIZE", 0.002)
        yield


@pytest.fixture(scope="session")
def cancer() -> Data:
    rows, labels = load_breast_cancer(return_X_y=True)
    return np.asarray(rows), np.asarray(labels)


@pytest.fixture(scope="session")
def digits() -> Data:
    rows, labels = load_digits(return_X_y=True)
    return (np.asarray(rows) / 16).reshape(-1, 8, 8, 1).astype(np.float32), np.asarray(labels)


@pytest.fixture(scope="session")
def pipeline(cancer: Data) -> Pipeline:
    rows, labels = cancer
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(rows[:EARLIER], labels[:EARLIER])


@pytest.fixture(scope="session")
def tumour(cancer: Data, pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Converted:
    rows, labels = cancer
    return convert(
        pipeline,
        name="tumour",
        target=tmp_path_factory.mktemp("models"),
        data={"features": rows[EARLIER:]},
        y=labels[EARLIER:],
        labels=("malignant", "benign"),
        arguments=["tumour.joblib", "--name", "tumour"],
    )


@pytest.fixture(scope="session")
def keras() -> ModuleType:
    module = from_tensorflow.keras()
    module.utils.set_random_seed(7)
    return module


@pytest.fixture(scope="session")
def dense_net(keras: ModuleType, digits: Data) -> Any:
    """A net of matrix products wide enough for 8 bits to pay, trained on the earlier rows."""
    layers = keras.layers
    rows, labels = digits
    net = keras.Sequential(
        [
            layers.Input((8, 8, 1), name="image"),
            layers.Flatten(),
            layers.Dense(1024, activation="relu"),
            layers.Dense(1024, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    net.compile("adam", "sparse_categorical_crossentropy")
    net.fit(rows[:1000], labels[:1000], epochs=3, verbose=0)
    return net


@pytest.fixture
def original() -> Callable[..., Original]:
    """Make an `Original` of a function, for parts that look at nothing but what it answers."""

    def make(answer: Any, **more: Any) -> Original:
        return Original(
            **{
                "framework": "none",
                "framework_version": "0",
                "model": "Function",
                "inputs": (),
                "roles": {"scores": "scores"},
                "answer": answer,
                "attempts": (),
                **more,
            }
        )

    return make


@pytest.fixture
def matrix() -> Callable[..., Rows]:
    """Make rows of a matrix called features."""

    def make(array: Any, labels: Any = None, **more: Any) -> Rows:
        return Rows({"features": np.asarray(array)}, None if labels is None else np.asarray(labels), **more)

    return make


@pytest.fixture
def empty_target(tmp_path: Path) -> Iterator[Path]:
    """The path of a repository that must not exist when the test is over."""
    target = tmp_path / "models"
    yield target
    assert not target.exists(), f"left behind: {list(target.iterdir())}"
