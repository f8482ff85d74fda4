"""Reads SavedModel folders, after a look at the operators in them."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from snooze.convert.checks.cases import Array
from snooze.convert.errors import NotAModel, Unsupported
from snooze.convert.extras import import_extra
from snooze.convert.frameworks.tensorflow.graph import Frozen, cause, check_operators, import_tensorflow
from snooze.convert.quiet import quiet

FILES: Final = ("saved_model.pb", "saved_model.pbtxt")
DEFAULT: Final = "serving_default"
SERVE: Final = "serve"


class SavedModel(NamedTuple):
    """
    A signature of a loaded SavedModel: its function, and the object that keeps the variables.

    `freeze` replaces the usual way to its graph, if TensorFlow 1's loader read it.
    """

    function: Any
    owner: Any
    freeze: Callable[[], Frozen] | None = None


def load(path: Path) -> SavedModel:
    """Return the signature that is served of a folder, or of its graph's file. Raises NotAModel, Unsupported."""
    tf = import_tensorflow()
    folder = path if path.is_dir() else path.parent
    if folder != path and path.name not in FILES:
        problem = "is not a SavedModel; give the folder with saved_model.pb. A frozen graph does not tell its inputs"
        raise NotAModel(str(path), f"{problem}: save the model with tf.saved_model.save")
    graph = _read_graph(folder)
    name = choose_signature(str(folder), graph.signature_def)
    _check(str(folder), graph)
    tags = list(graph.meta_info_def.tags)
    loaded, version = _load(tf, folder, tags)
    try:
        # Version 2's loader hands graphs without objects on to version 1's.
        objects = version == 2 and graph.HasField("object_graph_def")
        freeze = None if objects else partial(_freeze, str(folder), tags, graph.signature_def[name])
        return SavedModel(loaded.signatures[name], loaded, freeze)
    except KeyError:
        raise NotAModel(str(folder), f"has no function for its signature '{name}'; save the model again") from None


def choose_signature(where: str, names: Iterable[str]) -> str:
    """Return the signature that is served: the default one, else the only one. Raises Unsupported."""
    known = sorted(name for name in names if not name.startswith("_"))
    if DEFAULT in known or len(known) == 1:
        return DEFAULT if DEFAULT in known else known[0]
    problem = f"it has the signatures {', '.join(known)}" if known else "it has no signature"
    remedy = "save it with tf.saved_model.save(model, folder, signatures={'serving_default': function})"
    raise Unsupported(where, f"{problem}, and not 'serving_default'; {remedy}")


def _read_graph(folder: Path) -> Any:
    """Return the graph for serving, as a MetaGraphDef. Raises NotAModel."""
    from tensorflow.python.saved_model.loader_impl import parse_saved_model

    try:
        with quiet():
            message = parse_saved_model(str(folder))
    except Exception as error:  # of protobuf, or of reading the file
        raise NotAModel(str(folder), f"its graph is damaged ({cause(error)}); save the model again") from None
    graphs = {frozenset(one.meta_info_def.tags): one for one in message.meta_graphs}
    if not graphs:
        raise NotAModel(str(folder), "contains no graph; save the model again")
    found = graphs.get(frozenset({SERVE})) or next((one for tags, one in graphs.items() if SERVE in tags), None)
    if found is None and len(graphs) > 1:
        listed = "; ".join(", ".join(sorted(tags)) for tags in graphs)
        raise NotAModel(str(folder), f"has graphs with the tags {listed}, and none for '{SERVE}'; save one with it")
    return found or next(iter(graphs.values()))


def _check(where: str, graph: Any) -> None:
    """Raise Unsupported if a graph has operators of others, or such as loading it should not run."""
    from tensorflow.python.framework import op_def_registry

    # The operators that write and read checkpoints are in every SavedModel; its signature is checked for them later.
    check_operators(where, graph.graph_def, savers=False)
    functions = {one.signature.name for one in graph.graph_def.library.function}
    nodes = [*graph.graph_def.node, *(node for one in graph.graph_def.library.function for node in one.node_def)]
    custom = sorted({one.op for one in nodes if one.op not in functions and op_def_registry.get(one.op) is None})
    if custom:
        problem = f"it uses operators that TensorFlow does not have: {', '.join(custom)}"
        raise Unsupported(where, f"{problem}; do those steps before the rows are sent")
    for asset in graph.asset_file_def:
        if Path(asset.filename).is_absolute() or ".." in Path(asset.filename).parts:
            raise NotAModel(where, f"uses the file {asset.filename!r} outside of its folder")


def _load(tf: Any, folder: Path, tags: list[str]) -> tuple[Any, int]:
    """Return the loaded object, and the version of the loader: 1 if version 2's fails. Raises NotAModel."""
    from tensorflow.python.saved_model import load_v1_in_v2

    problem = ""
    for version, load_model in ((2, tf.saved_model.load), (1, load_v1_in_v2.load)):
        try:
            with quiet(), tf.device("/cpu:0"):
                return load_model(str(folder), tags), version
        except Exception as error:  # of whatever kind a damaged checkpoint leads to
            problem = problem or cause(error)  # the first one counts: it is that of version 2
    raise NotAModel(str(folder), f"cannot be read: {problem}")


def _freeze(folder: str, tags: list[str], signature: Any) -> Frozen:
    """Return the graph of a signature by TensorFlow 1's way, because version 2's loses its reference variables."""
    import_extra("tensorflow", "tf2onnx")
    from tf2onnx.tf_loader import tf_optimize

    v1 = import_tensorflow().compat.v1
    takes, gives = sorted(signature.inputs), sorted(signature.outputs)
    inputs = [signature.inputs[key].name for key in takes]
    outputs = [signature.outputs[key].name for key in gives]
    try:
        with quiet(), v1.Graph().as_default(), v1.device("/cpu:0"), v1.Session() as session:
            v1.saved_model.load(session, tags, folder)
            session.run(v1.tables_initializer())
            shapes = [session.graph.get_tensor_by_name(name).shape for name in outputs]
            ends = [name.partition(":")[0] for name in (*outputs, *inputs)]
            graph = session.graph.as_graph_def(add_shapes=True)
            graph = v1.graph_util.convert_variables_to_constants(session, graph, ends)
            check_operators(folder, graph, savers=True)
            tables = _read_tables(session, graph)
        for node in graph.node:  # nodes that are gone may be named there
            node.device = ""
            node.attr.pop("_class", None)
        with quiet(), v1.Graph().as_default():
            v1.import_graph_def(graph, name="")
            graph = tf_optimize(inputs, outputs, graph)
    except Unsupported:
        raise
    except Exception as error:
        raise Unsupported(folder, f"its variables cannot be made constants: {cause(error)}") from None
    sizes = [None if one.rank is None else tuple(size or -1 for size in one) for one in shapes]
    return Frozen(graph, tables, inputs, outputs, sizes, tuple(gives))


def _read_tables(session: Any, graph: Any) -> dict[bytes, tuple[Array, Array]]:
    """Return the keys and values of the tables in a graph, by the names that their users share."""
    from tensorflow import raw_ops

    found = {}
    for node in graph.node:
        if node.op == "HashTableV2":
            types = node.attr["key_dtype"].type, node.attr["value_dtype"].type
            table = session.graph.get_tensor_by_name(f"{node.name}:0")
            export = raw_ops.LookupTableExportV2(table_handle=table, Tkeys=types[0], Tvalues=types[1])
            found[node.attr["shared_name"].s] = tuple(session.run(list(export)))
    return found
