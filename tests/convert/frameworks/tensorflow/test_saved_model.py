import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from snooze.convert.errors import NotAModel, Unsupported
from snooze.convert.frameworks.tensorflow.framework import FRAMEWORK
from snooze.convert.frameworks.tensorflow.saved_model import DEFAULT, choose_signature, load
from snooze.convert.quiet import quiet

pytestmark = pytest.mark.framework

Save = Callable[..., Path]


@pytest.fixture(scope="module")
def folder(tf: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel with variables."""
    path = tmp_path_factory.mktemp("saved") / "model"

    class Line(tf.Module):  # type: ignore[name-defined]
        def __init__(self) -> None:
            self.weights = tf.Variable(np.arange(6, dtype=np.float32).reshape(3, 2))

        @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, name="rows")])
        def __call__(self, rows: Any) -> Any:
            return rows @ self.weights

    with quiet():
        tf.saved_model.save(Line(), str(path))
    return path


@pytest.fixture
def save(tf: ModuleType, tmp_path: Path) -> Save:
    """Save a function of rows as a SavedModel, and return its folder."""

    def save(call: Callable[[Any], Any], *names: str) -> Path:
        module = tf.Module()
        module.call = tf.function(call, input_signature=[tf.TensorSpec([None, 3], tf.float32, name="rows")])
        with quiet():
            tf.saved_model.save(module, str(tmp_path), signatures=dict.fromkeys(names or ["only"], module.call))
        return tmp_path

    return save


def edit(folder: Path, change: Callable[[Any], None]) -> None:
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    message = SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    change(message.meta_graphs[0])
    (folder / "saved_model.pb").write_bytes(message.SerializeToString())


@pytest.mark.parametrize("name", ["", "saved_model.pb"])
def test_reads_a_folder_or_the_file_in_it(folder: Path, name: str) -> None:
    assert FRAMEWORK.recognizes_file(folder / name)
    assert list(load(folder / name).function.structured_outputs) == ["output_0"]


def test_other_folders_are_not_recognized(tmp_path: Path) -> None:
    assert not FRAMEWORK.recognizes_file(tmp_path)


@pytest.mark.parametrize(
    ("names", "chosen"),
    [(["serving_default", "b"], "serving_default"), (["b", "__saved_model_init_op"], "b")],
)
def test_the_default_signature_or_the_only_one_is_served(names: list[str], chosen: str) -> None:
    assert choose_signature("model", names) == chosen


@pytest.mark.parametrize(
    ("names", "problem"), [(["b", "a"], "it has the signatures a, b, and not"), ([], "it has no signature, and not")]
)
def test_no_signature_is_guessed(names: list[str], problem: str) -> None:
    with pytest.raises(Unsupported) as caught:
        choose_signature("model", names)

    assert caught.value.problem.startswith(f"{problem} 'serving_default'; save it with tf.saved_model.save(")


def test_version_1_reads_what_version_2_cannot(tf: ModuleType, folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))

    def point_nowhere(graph: Any) -> None:
        for node in graph.object_graph_def.nodes:
            for child in node.children:
                child.node_id = 9999

    edit(copy, point_nowhere)

    model = load(copy)

    assert model.freeze is not None
    assert model.freeze().keys == ("output_0",)


def test_folders_of_tensorflow_1_are_read(tf: ModuleType, tmp_path: Path) -> None:
    v1 = tf.compat.v1
    with quiet(), v1.Graph().as_default(), v1.Session() as session:
        rows, words = v1.placeholder(tf.float32, [None, 3], "rows"), v1.placeholder(tf.string, [None], "words")
        weights = v1.get_variable("weights", [3, 2], use_resource=False)
        table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a"], tf.constant([1], tf.int64)), 0)
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        takes, gives = {"rows": rows, "words": words}, {"scores": tf.nn.softmax(rows @ weights), "ids": table[words]}
        v1.saved_model.simple_save(session, str(tmp_path / "v1"), takes, gives)

    model = FRAMEWORK.load(tmp_path / "v1").model
    inputs = FRAMEWORK.signature(model)
    original = FRAMEWORK.describe(model, inputs)
    graph = original.attempts[0].convert()

    assert [(one.tensor.name, one.domain.choices) for one in inputs] == [("rows", None), ("words", ("a", "unknown"))]
    assert dict(original.roles) == {"ids": None, "scores": "scores"}
    assert [one.name for one in graph.graph.output] == ["ids", "scores"]
    assert original.run({"rows": np.ones((2, 3)), "words": np.array(["a", "b"], object)})["ids"].tolist() == [1, 0]


def test_operators_that_run_code_or_use_files_are_refused_before_they_run(
    tf: ModuleType, save: Save, tmp_path: Path
) -> None:
    def write(rows: Any) -> Any:
        tf.io.write_file(str(tmp_path / "evil"), "")
        return rows

    with pytest.raises(Unsupported, match=r"it uses files .WriteFile at WriteFile.; do that before the rows are sent"):
        load(save(write))
    assert not (tmp_path / "evil").exists()

    with pytest.raises(Unsupported, match=r"it calls Python code .EagerPyFunc at"):
        load(save(lambda rows: tf.py_function(lambda one: one, [rows], tf.float32)))


def test_operators_of_others_are_named(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    edit(copy, lambda graph: graph.graph_def.node.add(name="x", op="SentencepieceOp"))

    with pytest.raises(Unsupported) as caught:
        load(copy)

    assert caught.value.problem.startswith("it uses operators that TensorFlow does not have: SentencepieceOp; do those")


def test_files_outside_of_the_folder_are_refused(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    edit(copy, lambda graph: graph.asset_file_def.add(filename="../../etc/passwd"))

    with pytest.raises(NotAModel, match=r"uses the file '../../etc/passwd' outside of its folder"):
        load(copy)


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda one: truncate(one / "saved_model.pb"), "its graph is damaged ("),
        (lambda one: (one / "saved_model.pb").write_bytes(b""), "contains no graph"),
        (lambda one: shutil.rmtree(one / "variables"), "cannot be read: "),
        (lambda one: truncate(next((one / "variables").glob("*data*"))), "cannot be read: "),
        (
            lambda one: edit(
                one, lambda graph: graph.signature_def["other"].CopyFrom(graph.signature_def.pop(DEFAULT))
            ),
            "has no function for its signature 'other'",
        ),
    ],
)
def test_damaged_folders_are_refused_in_one_line(
    folder: Path, tmp_path: Path, damage: Callable[[Path], None], problem: str
) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    damage(copy)

    with pytest.raises(NotAModel) as caught:
        load(copy)

    assert caught.value.problem.startswith(problem)
    assert "\n" not in caught.value.problem


def test_a_graph_with_other_tags_is_read_if_it_is_the_only_one(folder: Path, tmp_path: Path) -> None:
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    edit(copy, lambda graph: graph.meta_info_def.tags.__setitem__(0, "train"))
    assert load(copy).function is not None

    message = SavedModel.FromString((copy / "saved_model.pb").read_bytes())
    message.meta_graphs.add().meta_info_def.tags.append("other")
    (copy / "saved_model.pb").write_bytes(message.SerializeToString())
    with pytest.raises(NotAModel, match=r"has graphs with the tags train; other, and none for 'serve'"):
        load(copy)


def test_a_frozen_graph_is_refused_with_advice(tmp_path: Path) -> None:
    (tmp_path / "frozen.pb").write_bytes(b"\n\x01")

    with pytest.raises(NotAModel, match=r"is not a SavedModel; give the folder with saved_model.pb"):
        load(tmp_path / "frozen.pb")
