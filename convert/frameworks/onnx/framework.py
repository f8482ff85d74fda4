"""
ONNX files: served as they are, as far as a server can.

The original is the file itself, run by ONNX Runtime as it is by default. Inputs and outputs keep their names. A ZipMap,
whose dictionaries are no tensor, is removed, and its keys are the classes.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from snooze.bundle.adapters import text
from snooze.bundle.adapters.interface import Declaration
from snooze.bundle.rows.reading import Rows
from snooze.convert.checks.cases import Array, Arrays, Case, run_in_parts
from snooze.convert.errors import GraphRefused
from snooze.convert.frameworks.interface import NO_HINTS, Attempt, Framework, Hints, Inputs, Loaded, Original
from snooze.convert.frameworks.networks import Meaning, split_column, split_columns
from snooze.convert.frameworks.onnx.file import looks_like_onnx, read
from snooze.convert.frameworks.onnx.graph import NAME, find_zipmaps, is_half, make_served, prepare
from snooze.convert.frameworks.onnx.inputs import find_axes, find_inputs, run_problem
from snooze.convert.frameworks.onnx.meaning import find_meaning, find_probabilities
from snooze.convert.runner import Runner, import_onnxruntime

REMEDY: Final = "export it again with another version of the exporter, or report it with the file"


class Onnx(Framework):
    """`.onnx` files, and `onnx.ModelProto` objects."""

    name = "onnx"
    suffixes = (".onnx", ".ort")
    formats = ".onnx"
    isolated = True

    def recognizes_file(self, path: Path) -> bool:
        return path.is_file() and looks_like_onnx(path)

    def recognizes(self, model: object) -> bool:
        return type(model).__name__ == "ModelProto" and type(model).__module__.startswith("onnx.")

    def needs_trust(self, path: Path) -> bool:
        return False  # operators of ONNX Runtime are the only code that runs

    def load(self, path: Path, trust: bool = False) -> Loaded:
        return Loaded(read(path))

    def signature(self, model: Any, sample: Arrays | None = None) -> Inputs:
        prepared = prepare(model)
        return find_inputs(prepared, _run_unchanged(prepared), sample)

    def adapter(self, model: Any, inputs: Inputs, rows: Rows | None) -> Declaration | None:
        first, *others = [one.tensor for one in inputs]
        takes_texts = not others and first.datatype == "BYTES" and first.shape in ((-1,), (-1, 1))
        return text.Declaration("text", first.name) if takes_texts else None

    def describe(self, model: Any, inputs: Inputs, hints: Hints = NO_HINTS) -> Original:
        prepared = prepare(model)
        runner, zipmaps = _run_unchanged(prepared), find_zipmaps(prepared)
        axes, answers = find_axes(runner, inputs)
        answers = _without_maps(answers, zipmaps)
        meaning = find_meaning(prepared, answers, axes, zipmaps, hints)
        ranks = {name: answer.ndim for name, answer in answers.items()}
        ort = import_onnxruntime()
        return Original(
            framework="onnx",
            framework_version=str(ort.__version__),
            model=NAME,
            inputs=inputs,
            roles=meaning.roles,
            run=_runner(runner, inputs, axes, zipmaps, meaning.binary),
            attempts=(Attempt("its own precision", lambda: _convert(prepared, inputs, ranks, meaning)),),
            task=meaning.task,
            classes=meaning.classes,
            decides=meaning.decides,
            axes=axes,
            file_itself=True,
            half=is_half(prepared),
            probabilities=find_probabilities(prepared, meaning.roles),
            reference=f"the file itself, run by onnxruntime {ort.__version__}",
            remedy=REMEDY,
        )


FRAMEWORK: Final = Onnx()


def _run_unchanged(prepared: Any) -> Runner:
    """Return the file's graph in ONNX Runtime. Raises GraphRefused if that cannot load it."""
    try:
        return Runner(prepared.SerializeToString())
    except ImportError:
        raise
    except Exception as error:  # ONNX Runtime and protobuf have no common base for their errors
        raise GraphRefused(f"ONNX Runtime cannot load the file: {run_problem(error)}", REMEDY) from None


def _convert(prepared: Any, inputs: Inputs, ranks: Mapping[str, int], meaning: Meaning) -> Any:
    made = make_served(prepared, inputs, ranks)
    return split_columns(made, next(iter(meaning.roles))) if meaning.binary else made


def _runner(
    runner: Runner,
    inputs: Inputs,
    axes: Mapping[str, int | None],
    zipmaps: Mapping[str, tuple[object, ...]],
    binary: bool,
) -> Callable[[Arrays], Arrays]:
    """Return a function that answers as the file does, with tensors instead of dictionaries."""
    rows = {one.tensor.name: one.axis for one in inputs}

    def call(tensors: Arrays) -> Arrays:
        try:
            answers = _without_maps(runner.run(tensors), zipmaps)
        except Exception as error:  # ONNX Runtime has no common base for its errors
            raise ValueError(run_problem(error)) from None
        return {name: split_column(one) for name, one in answers.items()} if binary else answers

    return lambda tensors: run_in_parts(Case(tensors, rows), call, axes=axes).tensors


def _without_maps(answers: Arrays, zipmaps: Mapping[str, tuple[object, ...]]) -> Arrays:
    """Return outputs with lists of dictionaries as a matrix, one column for each key."""
    return {name: _matrix(answer, zipmaps[name]) if name in zipmaps else answer for name, answer in answers.items()}


def _matrix(maps: Array, keys: tuple[object, ...]) -> Array:
    return np.array([[one[key] for key in keys] for one in maps], np.float32)
