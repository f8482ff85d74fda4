"""Models trained once for all tests, and measurements cut short where their length is not the subject."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads that wait for each other are slow on a busy machine

import numpy as np
import pytest
from numpy.typing import NDArray

from snooze.convert import Converted, convert, profile
from snooze.convert.checks.cases import Array, Case, rows_case
from snooze.convert.checks.dataset import Dataset
from snooze.convert.frameworks.interface import Original
from snooze.convert.quantization import timing

Data = tuple[NDArray[Any], NDArray[Any]]
TRAINED = 400  # rows to train on; the others are held out


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
    from sklearn.datasets import load_breast_cancer

    rows, labels = load_breast_cancer(return_X_y=True)
    return np.asarray(rows), np.asarray(labels)


@pytest.fixture(scope="session")
def pipeline(cancer: Data) -> Any:
    """A scaler and a logistic regression, trained on the first rows."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows, labels = cancer
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(rows[:TRAINED], labels[:TRAINED])


@pytest.fixture(scope="session")
def tumour(cancer: Data, pipeline: Any, tmp_path_factory: pytest.TempPathFactory) -> Converted:
    rows, labels = cancer
    return convert(
        pipeline,
        name="tumour",
        target=tmp_path_factory.mktemp("models"),
        data={"features": rows[TRAINED:]},
        y=labels[TRAINED:],
        labels=("malignant", "benign"),
        arguments=["tumour.joblib", "--name", "tumour"],
    )


@pytest.fixture(scope="session")
def keras() -> ModuleType:
    from snooze.convert.frameworks.keras.framework import import_keras

    module = import_keras()
    module.utils.set_random_seed(7)
    return module


@pytest.fixture
def original() -> Callable[..., Original]:
    """Make an `Original` of a function, for modules that use nothing but what it answers."""

    def make(run: Any = None, **more: Any) -> Original:
        return Original(
            **{
                "framework": "none",
                "framework_version": "0",
                "model": "Function",
                "inputs": (),
                "roles": {"scores": "scores"},
                "run": run,
                "attempts": (),
                **more,
            }
        )

    return make


@pytest.fixture
def matrix() -> Callable[..., Dataset]:
    """Make a data set of one matrix called features."""

    def make(array: Any, labels: Any = None, **more: Any) -> Dataset:
        case = rows_case({"features": np.asarray(array)})
        return Dataset((case,), None if labels is None else np.asarray(labels), **more)

    return make


@pytest.fixture
def outputs() -> Callable[..., list[Case]]:
    """Make a model's outputs for one case with rows."""

    def make(**arrays: Any) -> list[Case]:
        return [rows_case({name: np.asarray(array) for name, array in arrays.items()})]

    return make


@pytest.fixture
def save_onnx(tmp_path: Path) -> Callable[..., Path]:
    """Write an ONNX model of some nodes and return its path."""
    from onnx import TensorProto, helper, numpy_helper

    kinds = {"f": TensorProto.FLOAT, "s": TensorProto.STRING, "i": TensorProto.INT64}

    def save(
        nodes: list[Any],
        inputs: dict[str, tuple[str, list[Any] | None]],
        outputs: dict[str, tuple[str, list[Any] | None]],
        constants: dict[str, Array] | None = None,
        name: str = "m.onnx",
    ) -> Path:
        values = [
            [helper.make_tensor_value_info(name, kinds[kind], shape) for name, (kind, shape) in tensors.items()]
            for tensors in (inputs, outputs)
        ]
        weights = [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()]
        graph = helper.make_graph(nodes, "test", *values, weights)
        opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
        path = tmp_path / name
        path.write_bytes(helper.make_model(graph, ir_version=9, opset_imports=opsets).SerializeToString())
        return path

    return save


@pytest.fixture
def empty_target(tmp_path: Path) -> Iterator[Path]:
    """The path of a repository that must not exist after the test."""
    target = tmp_path / "models"
    yield target
    assert not target.exists(), f"left behind: {list(target.iterdir())}"
