import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from snooze.convert.errors import NotAModel
from snooze.convert.frameworks.onnx import file as files
from snooze.convert.frameworks.onnx.file import looks_like_onnx, read

pytestmark = pytest.mark.framework


@pytest.fixture
def save(tmp_path: Path, dense: Any) -> Callable[..., Path]:
    """Save the dense model with its weights in a file of their own, described by changed entries."""

    def save(**entries: str) -> Path:
        folder = tmp_path / "model"
        folder.mkdir()
        onnx.save_model(copy(dense), folder / "m.onnx", save_as_external_data=True, location="w.data", size_threshold=0)
        model = onnx.load(folder / "m.onnx", load_external_data=False)
        (tensor,) = model.graph.initializer
        found = {entry.key: entry.value for entry in tensor.external_data} | entries
        del tensor.external_data[:]
        for key, value in found.items():
            tensor.external_data.add(key=key, value=value)
        (folder / "m.onnx").write_bytes(model.SerializeToString())
        return folder / "m.onnx"

    return save


def copy(model: Any) -> Any:
    made = onnx.ModelProto()
    made.CopyFrom(model)
    return made


@pytest.mark.parametrize(
    ("content", "known"),
    [
        (lambda model: model, True),
        (lambda model: model[:-1], False),
        (lambda model: b"", False),
        (lambda model: b"\x08\x01\x12\x02ab", False),  # as a SavedModel begins
        (lambda model: b"\x80\x04\x95 a pickle", False),
        (lambda model: model + b"\x28\x01" * 100_000, False),
        (lambda model: b"\x08" + b"\xff" * 30, False),
        (lambda model: bytes(4) + b"ORTM", True),
        (lambda model: os.urandom(999), False),
    ],
)
def test_recognizes_the_fields_of_a_model(
    tmp_path: Path, dense: Any, content: Callable[[bytes], bytes], known: bool
) -> None:
    (tmp_path / "m").write_bytes(content(dense.SerializeToString()))

    assert looks_like_onnx(tmp_path / "m") == known


def test_reads_data_beside_the_model(save: Callable[..., Path], dense: Any) -> None:
    assert read(save()) == dense


@pytest.mark.parametrize(
    ("location", "problem"),
    [
        ("../w.data", "keeps tensor 'w' in '../w.data', outside its folder"),
        ("sub/../../w.data", "outside its folder"),
        ("/proc/self/environ", "outside its folder"),
        ("", "outside its folder"),
        ("link", "outside its folder"),
        ("hard", "keeps its weights in 'hard', a hard link to another file"),
        ("go\0ne", "keeps its weights in 'go\\x00ne', which is missing"),
        ("g" * 999, "g', which is missing"),
        ("gone", "keeps its weights in 'gone', which is missing; copy it beside the model"),
    ],
)
def test_opens_no_file_of_others(save: Callable[..., Path], tmp_path: Path, location: str, problem: str) -> None:
    path = save(location=location)
    (tmp_path / "w.data").write_bytes(bytes(24))
    (path.parent / "link").symlink_to(tmp_path / "w.data")
    (path.parent / "hard").hardlink_to(tmp_path / "w.data")

    with pytest.raises(NotAModel) as caught:
        read(path)

    assert problem in caught.value.problem


@pytest.mark.parametrize("entries", [{"offset": "8"}, {"offset": "-8"}, {"length": "99"}, {"length": "a"}])
def test_reads_nothing_that_the_file_only_claims(save: Callable[..., Path], entries: dict[str, str]) -> None:
    with pytest.raises(NotAModel, match=r"tensor 'w' claims 24 B at byte .* of 'w.data', which has 24 B"):
        read(save(**entries))


def claim(tensor: Any) -> None:
    tensor.dims[0] = 2**36


def claim_without_data(tensor: Any) -> None:
    claim(tensor)
    tensor.ClearField("raw_data")


def claim_elsewhere(tensor: Any) -> None:
    claim(tensor)
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="w.data")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (claim, "but its shape needs 512.0 GiB"),
        (claim_without_data, "but its shape needs 512.0 GiB"),
        (claim_elsewhere, "models of more than 2.0 GiB are not served"),
        (lambda tensor: tensor.dims.append(-1), r"tensor 'w' has shape \[3, 2, -1\]"),
        (lambda tensor: setattr(tensor, "data_type", 99), "tensor 'w' has the unknown type 99"),
    ],
)
def test_allocates_nothing_for_a_giant_claim(tmp_path: Path, dense: Any, change: Any, problem: str) -> None:
    for model, tensor in (top(dense), inside(dense)):
        change(tensor)
        (tmp_path / "m.onnx").write_bytes(model.SerializeToString())

        with pytest.raises(NotAModel, match=problem):
            read(tmp_path / "m.onnx")


def top(dense: Any) -> tuple[Any, Any]:
    model = copy(dense)
    return model, model.graph.initializer[0]


def inside(dense: Any) -> tuple[Any, Any]:
    """Return a model with a constant inside a branch, and the constant."""
    model = copy(dense)
    constant = helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(np.zeros((3, 2), "f"), "w"))
    branch = helper.make_graph([constant], "branch", [], [helper.make_tensor_value_info("c", TensorProto.FLOAT, None)])
    model.graph.node.append(helper.make_node("If", ["x"], ["z"], then_branch=branch, else_branch=branch))
    return model, model.graph.node[-1].attribute[0].g.node[0].attribute[0].t


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (lambda model: model[:-5], "is damaged or not an ONNX file"),
        (lambda model: b"no model", "is damaged or not an ONNX file"),
        (lambda model: bytes(4) + b"ORTM" + bytes(99), "is in ONNX Runtime's own format"),
        (lambda model: helper.make_model(helper.make_graph([], "", [], [])).SerializeToString(), "contains no graph"),
    ],
)
def test_says_what_is_wrong_with_a_file(
    tmp_path: Path, dense: Any, content: Callable[[bytes], bytes], problem: str
) -> None:
    (tmp_path / "m.onnx").write_bytes(content(dense.SerializeToString()))

    with pytest.raises(NotAModel, match=problem):
        read(tmp_path / "m.onnx")


def test_refuses_a_file_that_is_too_large(tmp_path: Path, dense: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m.onnx").write_bytes(dense.SerializeToString())
    monkeypatch.setattr(files, "MAX_BYTES", 100)

    with pytest.raises(NotAModel, match="and models of more than 100 B are not served"):
        read(tmp_path / "m.onnx")
