"""Converts networks of PyTorch to ONNX graphs: exported programs by the new exporter, traces by the older one."""

import io
import re
import warnings
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from snooze.bundle.errors import SnoozeError
from snooze.convert.checks.cases import Arrays
from snooze.convert.checks.graph import BATCH, OPSET, rename
from snooze.convert.checks.synthetic import draw_inputs
from snooze.convert.errors import Unsupported
from snooze.convert.extras import import_extra
from snooze.convert.frameworks.interface import Inputs
from snooze.convert.frameworks.torch.network import Network, as_tensor, cause, flatten, import_torch
from snooze.convert.quiet import quiet
from snooze.convert.runner import import_onnxruntime

TRACE_ROWS: Final = 3
PLACE: Final = "snooze"  # begins names that no value inside a graph has
COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
MISSING: Final = re.compile(r"No ONNX function found for <OpOverload\(op='([\w.]+)'|Exporting the operator '([\w:]+)'")
BRANCHES: Final = "its forward branches on the values of a tensor"
BRANCH_REMEDY: Final = "compute it with torch.where or torch.cond, or convert torch.jit.script(model)"
RTOL: Final = 1e-3
ATOL: Final = 1e-4


def convert_program(network: Network, inputs: Inputs, outputs: Sequence[str], variable: bool = True) -> Any:
    """
    Return a network as an `onnx.ModelProto` with these outputs, by `torch.export`.

    Without `variable`, only the rows of a module are variable, and other dimensions as in its sample.
    """
    import_extra("torch", "onnxscript")
    torch, program = import_torch(), network.model
    try:
        if network.kind != "program":
            program = _export(network, inputs, variable)
        with quiet():
            made = torch.onnx.export(
                program, (), dynamo=True, opset_version=OPSET[""], external_data=False, verbose=False,
                input_names=[f"{PLACE}_in_{at}" for at in range(len(inputs))],
                output_names=[f"{PLACE}_out_{at}" for at in range(len(outputs))],
            ).model_proto  # fmt: skip
    except SnoozeError:
        raise
    except Exception as error:  # the exporter raises whatever it runs into
        raise Unsupported(network.name, _problem(error, None if program is network.model else program)) from None
    return _finish(network, made, inputs, outputs, variable and network.kind == "module")


def convert_trace(network: Network, inputs: Inputs, outputs: Sequence[str], variable: bool = True) -> Any:
    """Return a network as an `onnx.ModelProto` with these outputs, by TorchScript: a module is traced for it."""
    import onnx

    torch, file = import_torch(), io.BytesIO()
    names = [one.tensor.name for one in inputs]
    free = {one.tensor.name: {axis: f"{one.tensor.name}_{axis}" for axis in _free(one, variable)} for one in inputs}
    try:
        with warnings.catch_warnings(record=True) as found, quiet():
            warnings.simplefilter("always", torch.jit.TracerWarning)
            module = (_scripted if network.kind == "script" else _positional)(network, inputs)
            torch.onnx.export(
                module, _sample(inputs), file, dynamo=False, opset_version=OPSET[""], input_names=names,
                output_names=[*outputs], dynamic_axes={name: axes for name, axes in free.items() if axes},
            )  # fmt: skip
    except SnoozeError:
        raise
    except Exception as error:  # the exporter raises whatever it runs into
        raise Unsupported(network.name, _problem(error, None)) from None
    # A trace follows one branch only. PyTorch's own layers branch just to check their input.
    library = str(torch.__path__[0])
    if any("Python boolean" in str(one.message) and not one.filename.startswith(library) for one in found):
        raise Unsupported(network.name, f"{BRANCHES}; {BRANCH_REMEDY}")
    return _finish(network, onnx.load_from_string(file.getvalue()), inputs, outputs, variable)


def add_axis(graph: Any, name: str) -> Any:
    """Make a column of the only output of a graph, which has one number for each row."""
    from onnx import helper, numpy_helper

    graph = rename(graph, {name: "number"})
    kind = graph.graph.output[0].type.tensor_type.elem_type
    del graph.graph.output[:]
    graph.graph.initializer.append(numpy_helper.from_array(np.array([1], np.int64), "column_axis"))
    graph.graph.node.append(helper.make_node("Unsqueeze", ["number", "column_axis"], [name]))
    graph.graph.output.append(helper.make_tensor_value_info(name, kind, [BATCH, 1]))
    return graph


def _export(network: Network, inputs: Inputs, variable: bool) -> Any:
    torch = import_torch()
    kinds = torch.export.Dim
    free = tuple({axis: kinds.AUTO if axis else kinds.DYNAMIC for axis in _free(one, variable)} for one in inputs)
    with quiet():
        return torch.export.export(_positional(network, inputs), _sample(inputs), dynamic_shapes=(free,), strict=False)


def _free(one: Any, variable: bool) -> list[int]:
    """Return the dimensions of an input that an exporter must keep variable."""
    return [axis for axis, size in enumerate(one.tensor.shape) if size == -1 and (variable or axis == one.axis)]


def _sample(inputs: Inputs) -> tuple[Any, ...]:
    return tuple(as_tensor(array) for array in draw_inputs(inputs, TRACE_ROWS).values())


def _positional(network: Network, inputs: Inputs) -> Any:
    """Return a network as a module of one argument for each input, that returns a tuple of tensors."""
    torch = import_torch()
    names = [one.tensor.name for one in inputs]

    class Positional(torch.nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = network.model

        def forward(self, *arrays: Any) -> Any:
            answer = self.model(**dict(zip(names, arrays, strict=True)))
            found = tuple(one.tensor for one in flatten(answer))
            return found if len(found) > 1 else found[0]

    return Positional().eval()


def _scripted(network: Network, inputs: Inputs) -> Any:
    """Return TorchScript as a module of one argument for each input, that returns a tuple of tensors."""
    torch = import_torch()
    names = [one.tensor.name for one in inputs]
    with torch.inference_mode():
        answer = network.call(dict(zip(names, _sample(inputs), strict=True)))
    found = ", ".join(f"answer{one.path}" for one in flatten(answer))
    call = f"answer = self.model({', '.join(f'{name}={name}' for name in names)})"
    wrapper = torch.nn.Module().eval()
    wrapper.model = network.model
    module = torch.jit.script(wrapper)
    module.define(f"def forward(self, {', '.join(names)}):\n    {call}\n    return {found}\n")
    return module.eval()


def _finish(network: Network, made: Any, inputs: Inputs, outputs: Sequence[str], check: bool) -> Any:
    """Return a graph with the names of inputs and outputs, after a check that it answers for other lengths too."""
    found = {value.name for value in (*made.graph.input, *made.graph.output)}
    places = {f"{PLACE}_in_{at}": one.tensor.name for at, one in enumerate(inputs)}
    unused = [name for place, name in places.items() if not {place, name} & found]
    if unused:
        problem = f"its answer does not depend on {', '.join(unused)}"
        raise Unsupported(network.name, f"{problem}; leave it out of forward, and of the rows")
    places |= {f"{PLACE}_out_{at}": name for at, name in enumerate(outputs)}
    made = rename(made, {place: name for place, name in places.items() if place in found})
    if check and any(size == -1 for one in inputs for size in one.tensor.shape[1:]):
        _check_lengths(network, made, inputs)
    return made


def _check_lengths(network: Network, graph: Any, inputs: Inputs) -> None:
    """Raise Unsupported if a graph answers differently from its network for rows of other lengths than the sample's."""
    session = import_onnxruntime().InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    for length in range(max(len(one.domain.lengths) for one in inputs)):
        rows: Arrays = draw_inputs(inputs, 2, length)
        expected = network.run(rows)
        try:
            with quiet():
                answers = session.run(None, rows)
        except Exception as error:  # onnxruntime has no common base for its errors
            raise Unsupported(network.name, f"the graph does not run with another length: {cause(error)}") from None
        for answer, wanted in zip(answers, expected.values(), strict=True):
            if answer.shape != wanted.shape or not np.allclose(answer, wanted, RTOL, ATOL, equal_nan=True):
                raise Unsupported(network.name, "the exporter has built the sample's length into the graph")


def _problem(error: BaseException, program: Any) -> str:
    """Return what an exporter failed at: an operator and its module, or the place in forward."""
    text = COLOUR.sub("", _whole(error))
    if found := MISSING.search(text):
        operator = found[1] or found[2]
        place = _module_of(program, re.split(r"[.:]", operator)[-1]) if program is not None else None
        where = f" (in {place})" if place else ""
        return f"ONNX has no counterpart of the operator {operator}{where}; do that step before the rows are sent"
    if "data-dependent" in text or "DataDependent" in text:
        line = re.search(r'File "([^"]+)", line (\d+), in forward', text)
        where = f" ({line[1].rpartition('/')[2]}:{line[2]})" if line else ""
        return f"{BRANCHES}{where}; {BRANCH_REMEDY}"
    return f"the exporter fails with {type(error).__name__}: {_summary(error)}"


def _whole(error: BaseException | None) -> str:
    """Return the messages of an error and of its causes."""
    texts = []
    while error is not None:
        texts.append(str(error))
        error = error.__cause__
    return "\n".join(texts)


def _summary(error: BaseException) -> str:
    """Return the message of the first cause: what is around it explains the exporter."""
    while error.__cause__ is not None:
        error = error.__cause__
    return COLOUR.sub("", cause(error))


def _module_of(program: Any, operator: str) -> str | None:
    """Return the path of the module that calls an operator, from what the exporter noted about it."""
    for node in program.graph.nodes:
        if node.op == "call_function" and operator in str(node.target) and node.meta.get("nn_module_stack"):
            path, kind = [*node.meta["nn_module_stack"].values()][-1]
            return f"{path.removeprefix('model').removeprefix('.') or 'forward'}, {str(kind).rpartition('.')[2]}"
    return None
