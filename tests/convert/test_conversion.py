from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline

from snooze.bundle import Batching, BundleError, matches, read, read_samples, verify
from snooze.convert import (
    Converted,
    InvalidData,
    InvalidOption,
    ParityRefused,
    Unfitted,
    conversion,
    convert,
)
from snooze.convert.attempts import agree, batching
from snooze.convert.checks.cases import Rows
from snooze.convert.checks.graph import renamed
from snooze.convert.frameworks.interface import Attempt, Original
from snooze.convert.frameworks.sklearn import graph as from_sklearn_graph
from snooze.convert.quantization import candidates as quantize
from snooze.convert.runner import Runner

Data = tuple[NDArray[Any], NDArray[Any]]


def checked(converted: Converted) -> None:
    """Check a bundle as one that serves it would."""
    bundle = read(converted.folder)
    verify(converted.folder, bundle)
    samples = read_samples(converted.folder, bundle)
    outputs = Runner(converted.folder / bundle.session.file, bundle.session.optimization).run(dict(samples.inputs))
    for name, golden in samples.outputs.items():
        assert matches(outputs[name], golden, bundle.tolerance[name])


def test_the_bundle_serves_what_it_promises(tumour: Converted) -> None:
    checked(tumour)
    assert sorted(path.name for path in tumour.folder.iterdir()) == [
        "bundle.json",
        "model.onnx",
        "report.html",
        "samples.npz",
    ]


def test_the_bundle_carries_its_evidence(tumour: Converted) -> None:
    bundle = tumour.bundle

    assert (bundle.name, bundle.version, bundle.task) == ("tumour", 1, "classification")
    assert [(one.name, one.datatype, one.shape) for one in bundle.inputs] == [("features", "FP32", (-1, 30))]
    assert [(one.name, one.datatype, one.shape, one.role) for one in bundle.outputs] == [
        ("label", "INT64", (-1,), "label"),
        ("probabilities", "FP32", (-1, 2), "scores"),
    ]
    assert bundle.labels == ("malignant", "benign")
    assert bundle.batching is not None
    assert (bundle.batching.axis, bundle.batching.max_rows) == (0, 64)
    evidence = bundle.evidence
    assert (evidence.data, evidence.chosen) == ("labelled", "fp32")
    assert evidence.parity["rows"] == evidence.evaluation["rows"] == 169
    assert evidence.parity["worst"] < 1e-5
    assert (evidence.parity["flips"], evidence.parity["verdict"]) == (0, "agrees")
    assert evidence.evaluation["metric"] == "accuracy"
    assert evidence.evaluation["before"] == evidence.evaluation["after"] > 0.9
    assert evidence.statistics["features"]["rows"] == 169
    assert len(evidence.statistics["features"]["columns"]) == 30
    assert [run.rows for run in bundle.profile.run] == [1, 2, 4, 8, 16, 32, 64]
    assert bundle.source.command == "snooze convert tumour.joblib --name tumour"


@pytest.mark.slow
def test_a_net_is_served_in_8_bits_where_that_pays(
    dense_net: Any, digits: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, labels = digits
    # How much faster it is depends on the machine; that it is chosen if it is faster must not.
    monkeypatch.setattr(
        quantize, "run_seconds", lambda calls: {name: 3e-5 if name == "fp32" else 1e-5 for name in calls}
    )

    converted = convert(
        dense_net, name="digits", target=tmp_path, data=rows[1000:], y=labels[1000:], max_drop=2, max_flips=5
    )

    checked(converted)
    bundle = converted.bundle
    assert bundle.evidence.chosen.startswith("int8")
    chosen = next(one for one in bundle.evidence.candidates if one["verdict"] == "chosen")
    fp32 = bundle.evidence.candidates[0]
    assert chosen["speedup"] == pytest.approx(3)
    assert chosen["bytes"] < fp32["bytes"] / 3
    assert bundle.evidence.parity["served"]["rows"] == 797
    assert bundle.evidence.parity["worst"] < 1e-5 < bundle.evidence.parity["served"]["worst"]
    assert bundle.evidence.evaluation["rows"] == 299
    assert bundle.tolerance["probabilities"].rtol == 0.05


@pytest.mark.slow
def test_limits_keep_the_net_in_fp32(dense_net: Any, digits: Data, tmp_path: Path) -> None:
    rows, _ = digits

    bundle = convert(dense_net, name="digits", target=tmp_path, data={"image": rows}, quantize="off").bundle

    assert bundle.evidence.data == "given"
    assert bundle.evidence.chosen == "fp32"
    assert bundle.evidence.candidates[1]["reason"] == "turned off by --quantize off"
    assert bundle.labels == tuple("0123456789")


def test_without_rows_they_are_made_up(pipeline: Pipeline, tmp_path: Path) -> None:
    converted = convert(pipeline, name="tumour", target=tmp_path)

    checked(converted)
    evidence = converted.bundle.evidence
    assert (evidence.data, evidence.evaluation, evidence.statistics) == ("synthetic", {}, {})
    assert evidence.parity["rows"] == 512
    assert converted.bundle.labels == ("0", "1")


def test_a_regressor_is_scored_by_r_squared(cancer: Data, tmp_path: Path) -> None:
    rows = cancer[0]
    model = LinearRegression().fit(rows[:, :5], rows[:, 6])

    converted = convert(model, name="area", target=tmp_path, data=rows[:, :5], y=rows[:, 6])

    checked(converted)
    bundle = converted.bundle
    assert (bundle.task, bundle.labels) == ("regression", None)
    assert [(one.name, one.role) for one in bundle.outputs] == [("value", "value")]
    assert bundle.evidence.evaluation["metric"] == "R²"
    assert bundle.evidence.evaluation["before"] == pytest.approx(bundle.evidence.evaluation["after"], abs=1e-6)


def test_string_labels_go_into_the_bundle(cancer: Data, tmp_path: Path) -> None:
    rows, labels = cancer
    names = np.array(["malignant", "gutartig ü"])[labels]
    model = LogisticRegression().fit(rows[:, :3], names)

    converted = convert(model, name="tumour", target=tmp_path, data=rows[:, :3], y=names)

    checked(converted)
    assert converted.bundle.labels == ("gutartig ü", "malignant")
    assert converted.bundle.outputs[0].datatype == "BYTES"
    assert converted.bundle.evidence.data == "labelled"


def test_each_conversion_is_the_next_version(pipeline: Pipeline, tmp_path: Path) -> None:
    versions = [convert(pipeline, name="tumour", target=tmp_path).bundle.version for _ in range(2)]

    assert versions == [1, 2]


def test_what_answers_otherwise_is_refused(
    pipeline: Pipeline, cancer: Data, empty_target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = from_sklearn_graph._graph

    def doctored(*arguments: Any, **options: Any) -> Any:
        graph = renamed(real(*arguments, **options), {}, {"probabilities": "right"})
        graph.graph.node.append(helper.make_node("Sqrt", ["right"], ["probabilities"]))
        graph.graph.output[1].name = "probabilities"
        return graph

    monkeypatch.setattr(from_sklearn_graph, "_graph", doctored)

    with pytest.raises(ParityRefused) as caught:
        convert(pipeline, name="tumour", target=empty_target, data=cancer[0])

    assert caught.value.exit_code == 1
    assert str(caught.value).startswith("parity gate: converted in single precision, the Pipeline answers otherwise: ")


def test_what_is_served_is_compared_once_more(
    pipeline: Pipeline, empty_target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from snooze.convert import evidence as assembly

    monkeypatch.setattr(assembly, "judged", lambda *_: ({}, "7 labels flip"))

    with pytest.raises(ParityRefused, match="the form to be served answers otherwise: 7 labels flip"):
        convert(pipeline, name="tumour", target=empty_target)


@pytest.mark.parametrize(
    ("given", "error", "problem"),
    [
        ({"data": np.zeros((3, 29))}, InvalidData, r"data: input 'features' takes rows of shape \(30\), got \(29\)"),
        (
            {"data": np.full((3, 30), np.nan)},
            InvalidData,
            "the rows given: Pipeline refuses them: Input X contains NaN",
        ),
        ({"data": np.zeros((3, 30)), "y": [0, 1, 2]}, InvalidData, "the labels: 2 is none of the classes 0, 1"),
        ({"labels": ("a",)}, InvalidOption, "--labels: 1 names for 2 classes"),
        ({"y": [1]}, InvalidOption, "--label: labels need the rows they belong to; add --data"),
        ({"label": "kind"}, InvalidOption, "--label: labels need the rows they belong to; add --data"),
        ({"max_drop": -1}, InvalidOption, "--max-drop: expected points, 0 or more, got -1"),
        ({"name": "../x"}, BundleError, "a model's name"),
    ],
)
def test_wrong_input_leaves_nothing_behind(
    pipeline: Pipeline, empty_target: Path, given: dict[str, Any], error: type[Exception], problem: str
) -> None:
    with pytest.raises(error, match=problem):
        convert(pipeline, **{"name": "tumour", "target": empty_target, **given})


def test_an_unfitted_model_leaves_nothing_behind(empty_target: Path) -> None:
    with pytest.raises(Unfitted):
        convert(LogisticRegression(), name="tumour", target=empty_target)


@pytest.mark.parametrize("step", ["agree", "drawn", "assembled"])
def test_an_interrupt_leaves_nothing_behind(
    pipeline: Pipeline, empty_target: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(conversion, step, interrupt)

    with pytest.raises(KeyboardInterrupt):
        convert(pipeline, name="tumour", target=empty_target)


def test_tells_each_step(pipeline: Pipeline, tmp_path: Path) -> None:
    steps: list[str] = []

    convert(pipeline, name="tumour", target=tmp_path, progress=steps.append)

    assert steps == [
        "reading the model",
        "converting, and comparing 512 rows with the original",
        "trying 8-bit candidates",
        "measuring the forms that the model can be served in",
        "checking what will be served, and measuring it in fresh processes",
    ]


@pytest.fixture
def net(tmp_path: Path) -> Callable[..., Any]:
    """Make a model of x by its nodes, and its file."""

    def net(*nodes: Any) -> tuple[Any, Path]:
        graph = helper.make_graph(
            nodes,
            "net",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 1])],
            [helper.make_tensor_value_info("value", TensorProto.FLOAT, ["batch", 1])],
        )
        model = helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 18)])
        path = tmp_path / f"{len(nodes)}.onnx"
        path.write_bytes(model.SerializeToString())
        return model, path

    return net


def test_rows_that_change_each_other_s_answers_are_never_joined(net: Callable[..., Any], tmp_path: Path) -> None:
    negative, file = net(helper.make_node("Neg", ["x"], ["value"]))
    mean, sub = helper.make_node("ReduceMean", ["x"], ["mean"]), helper.make_node("Sub", ["x", "mean"], ["value"])
    _, mixing = net(mean, sub)
    original = Original(
        framework="none",
        framework_version="0",
        model="Function",
        inputs=(),
        roles={"value": "value"},
        answer=Runner(file).run,
        attempts=(Attempt("only", lambda: negative),),
    )
    agreed = agree(original, Rows({"x": np.array([[1.0], [5.0], [3.0]], np.float32)}), tmp_path)

    assert batching(agreed, Runner(file), agreed.tolerance, original) == Batching(axis=0, max_rows=64)
    assert batching(agreed, Runner(mixing), agreed.tolerance, original) is None
