import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.service.conftest import (
    COLOURS,
    classifier,
    colours,
    identity,
    publish,
    publish_adapted,
    regressor,
    two_inputs,
)

from snooze.bundle.samples import Sample
from snooze.bundle.store import read, sha256
from snooze.service.errors import GoldenMismatch, InvalidRequest, RunFailed, UnusableModel
from snooze.service.runtime.model import Model, load


def load_published(folder: Path) -> Model:
    return load(folder, read(folder), 1)


def change(folder: Path, **contract: Any) -> None:
    """Say something else in the contract, with hashes that fit."""
    path = folder / "bundle.json"
    document = json.loads(path.read_text()) | contract
    document["files"] = {name: sha256(folder / name) for name in document["files"]}
    path.write_text(json.dumps(document))


def test_a_loaded_model_runs_and_counts_rows(tmp_path: Path) -> None:
    model = load_published(publish(tmp_path, "sum", regressor()))
    feeds = {"x": np.array([[1, 2, 3], [0, 0, 1]], np.float32)}

    (value,) = model.run(["value"], feeds)

    assert value.tolist() == [[6], [1]]
    assert (model.version, model.rows(feeds), model.proved) == (1, 2, False)


def test_a_model_is_proved_by_its_samples(tmp_path: Path) -> None:
    model = load_published(publish(tmp_path, "tumour", classifier()))
    samples = model.samples()
    model.warm_up(samples)
    model.prove(samples)

    assert model.proved


@pytest.mark.parametrize(
    ("graph", "golden", "worst"),
    [
        (regressor(), {"value": np.array([[6], [15.75]], np.float32)}, "off by up to 0.25"),
        (identity("BYTES", (-1,)), {"y": np.array(["text 0", "text 1", "other"], object)}, "1 of 3 values differ"),
    ],
)
def test_an_output_that_is_off_is_told_by_how_much(tmp_path: Path, graph: Any, golden: Any, worst: str) -> None:
    model = load_published(publish(tmp_path, "m", graph))

    with pytest.raises(GoldenMismatch) as caught:
        model.prove([Sample(graph.golden, golden)])

    assert f"({worst})" in str(caught.value)
    assert caught.value.exit_code == 1
    assert not model.proved


def test_another_shape_is_told(tmp_path: Path) -> None:
    graph = regressor()
    model = load_published(publish(tmp_path, "m", graph))

    with pytest.raises(GoldenMismatch, match=r"expected shape \[1, 1\], got \[2, 1\]"):
        model.prove([Sample(graph.golden, {"value": np.array([[6]], np.float32)})])


@pytest.mark.parametrize(
    ("contract", "problem"),
    [
        (
            {"inputs": [{"name": "x", "datatype": "FP64", "shape": [-1, 3]}]},
            "expected input 'x' of datatype FP64, got FP32",
        ),
        (
            {"inputs": [{"name": "z", "datatype": "FP32", "shape": [-1, 3]}]},
            "expected input 'z' of datatype FP32, but the graph has no such input; available: x",
        ),
    ],
)
def test_a_contract_that_is_not_the_graphs_is_refused(tmp_path: Path, contract: Any, problem: str) -> None:
    folder = publish(tmp_path, "m", regressor())
    change(folder, **contract)

    with pytest.raises(UnusableModel) as caught:
        load_published(folder)

    assert str(caught.value) == f"{folder / 'model.onnx'} cannot be served: {problem}"


def test_an_input_that_the_contract_does_not_name_is_refused(tmp_path: Path) -> None:
    folder = publish(tmp_path, "m", two_inputs())
    inputs = [{"name": name, "datatype": "INT64", "shape": [-1]} for name in ("age", "weight")]
    change(folder, inputs=inputs)

    with pytest.raises(UnusableModel, match=r"the graph has inputs that the contract does not list: note"):
        load_published(folder)


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    folder = publish(tmp_path, "m", regressor())
    (folder / "model.onnx").write_bytes(b"not a model")
    change(folder)

    with pytest.raises(UnusableModel, match=r"model\.onnx cannot be served: "):
        load_published(folder)


def test_a_model_that_fails_on_its_own_samples_is_refused(tmp_path: Path) -> None:
    graph = two_inputs()
    model = load_published(publish(tmp_path, "m", graph))
    inputs = {**graph.golden, "weight": np.array([1, 2, 3])}

    with pytest.raises(UnusableModel):
        model.prove([Sample(inputs, {})])


@pytest.mark.parametrize(("kind", "raised"), [("InvalidArgument", InvalidRequest), ("Fail", RunFailed)])
def test_what_the_runtime_raises_becomes_ours(tmp_path: Path, kind: str, raised: type[Exception]) -> None:
    class Session:
        def run(self, names: Any, feeds: Any, options: Any) -> Any:
            raise type(kind, (Exception,), {})("some\n long   text")

    folder = publish(tmp_path, "m", regressor())
    model = Model(folder, read(folder), Session())

    with pytest.raises(raised, match="some long text"):
        model.run(["value"], {})


def test_a_model_without_batching_has_one_row(tmp_path: Path) -> None:
    folder = publish(tmp_path, "m", regressor())
    bundle = read(folder)._replace(batching=None)
    model = Model(folder, bundle, type("Session", (), {"run": None}))

    assert model.rows({"x": np.zeros((5, 3))}) == 1


TEXT = {"kind": "text", "input": "x"}
GOLDEN = [b"text 0", b"text 1", b"text 2"]


def test_an_adapter_is_proved_by_golden_raw_rows(tmp_path: Path) -> None:
    model = load_published(publish(tmp_path, "m", identity("BYTES", (-1,)), adapter=TEXT, raw=GOLDEN))

    model.load_adapter(model.samples())

    assert model.adapter is not None
    assert model.signature().adapter is model.adapter


@pytest.mark.parametrize(("last", "error"), [(b"other", GoldenMismatch), (b"\xff", UnusableModel)])
def test_an_adapter_that_makes_other_inputs_is_refused(tmp_path: Path, last: bytes, error: type[Exception]) -> None:
    model = load_published(publish(tmp_path, "m", identity("BYTES", (-1,)), adapter=TEXT, raw=[*GOLDEN[:2], last]))

    with pytest.raises(error, match="'x'" if error is GoldenMismatch else "its adapter does not work"):
        model.load_adapter(model.samples())


def test_says_how_to_get_the_library_of_an_adapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_published(publish_adapted(tmp_path, "colours", colours(), COLOURS, ("red", "green", "blue")))
    monkeypatch.setitem(sys.modules, "PIL.Image", None)  # as if it were not installed

    with pytest.raises(UnusableModel) as caught:
        model.load_adapter(model.samples())

    assert caught.value.problem.endswith(
        "'PIL' is not installed; run: pip install 'snooze[image]'; for an image: --build-arg EXTRAS=image"
    )
