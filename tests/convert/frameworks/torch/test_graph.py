import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from snooze.convert.attempts import Conversion
from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.interface import Original
from snooze.convert.frameworks.torch.framework import FRAMEWORK
from snooze.convert.frameworks.torch.graph import convert_program, convert_trace
from snooze.convert.frameworks.torch.network import read_network
from snooze.convert.frameworks.torch.signature import from_sample
from snooze.convert.runner import import_onnxruntime

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore")]  # PyTorch warns of its own calls

Convert = Callable[..., tuple[Original, Conversion]]
NUMBERS = np.random.default_rng(7).normal(size=(6, 3)).astype(np.float32)
IDS = np.random.default_rng(7).integers(0, 50, (6, 8))


def run(graph: Any, **arrays: Any) -> list[Any]:
    session = import_onnxruntime().InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    return list(session.run(None, arrays))


def prepare(model: Any, **arrays: Any) -> tuple[Any, Any]:
    network = read_network(model)
    return network, from_sample(network, arrays)


@pytest.mark.parametrize("convert", [convert_program, convert_trace])
def test_names_do_not_collide_with_values_inside(models: ModuleType, convert: Any) -> None:
    network, inputs = prepare(models.Bag(), words=IDS)

    graph = convert(network, inputs, ["embedding"])

    assert [value.name for value in graph.graph.input] == ["words"]
    assert [value.name for value in graph.graph.output] == ["embedding"]
    np.testing.assert_allclose(run(graph, words=IDS)[0], network.run({"words": IDS})[""], rtol=1e-5)


@pytest.mark.parametrize("convert", [convert_program, convert_trace])
def test_rows_and_lengths_stay_variable(models: ModuleType, convert: Any) -> None:
    network, inputs = prepare(models.Bag(), words=IDS)

    graph = convert(network, inputs, ["out"])

    for ids in (IDS[:1], IDS[:, :3], np.tile(IDS, (3, 4))):
        np.testing.assert_allclose(run(graph, words=ids)[0], network.run({"words": ids})[""], rtol=1e-5, atol=1e-7)


def test_a_length_that_an_exporter_builds_in_is_found(torch: ModuleType) -> None:
    class Mean(torch.nn.Module):  # type: ignore[name-defined]
        def forward(self, x: Any) -> Any:
            return x.sum(1) / int(x.shape[1])  # a constant in a trace

    network, inputs = prepare(Mean(), x=NUMBERS)

    with pytest.raises(Unsupported, match="the exporter has built the sample's length into the graph"):
        convert_trace(network, inputs, ["out"])
    assert run(convert_trace(network, inputs, ["out"], False), x=NUMBERS)[0].shape == (6,)


def test_torchscript_keeps_its_branches(torch: ModuleType, models: ModuleType) -> None:
    network, inputs = prepare(torch.jit.script(models.Branch()), x=NUMBERS)

    graph = convert_trace(network, inputs, ["out"])

    for rows in (abs(NUMBERS), -abs(NUMBERS)):
        np.testing.assert_allclose(run(graph, x=rows)[0], network.run({"x": rows})[""])


@pytest.mark.parametrize("convert", [convert_program, convert_trace])
def test_branches_of_a_module_are_refused(models: ModuleType, convert: Any) -> None:
    network, inputs = prepare(models.Branch(), x=NUMBERS)

    with pytest.raises(Unsupported) as caught:
        convert(network, inputs, ["out"])

    place = r" \(models\.py:\d+\)" if convert is convert_program else ""
    assert re.fullmatch(
        f"its forward branches on the values of a tensor{place}; compute it with torch.where or torch.cond, .*",
        caught.value.problem,
    )


def test_answers_by_name_of_torchscript_are_outputs(torch: ModuleType, models: ModuleType) -> None:
    network, inputs = prepare(torch.jit.script(models.Named()), x=NUMBERS)

    double, total = run(convert_trace(network, inputs, ["double", "sum"]), x=NUMBERS)

    np.testing.assert_allclose(double, NUMBERS * 2)
    np.testing.assert_allclose(total, NUMBERS.sum(1), rtol=1e-5)


def test_an_operator_without_counterpart_is_named_with_its_place(torch: ModuleType, models: ModuleType) -> None:
    body = torch.nn.Sequential(torch.nn.Linear(3, 3), models.Bessel())
    network, inputs = prepare(torch.nn.Sequential(body), input=NUMBERS)

    with pytest.raises(Unsupported) as caught:
        convert_program(network, inputs, ["out"])
    operator = "the operator prims.bessel_j0 (in 0.1, Bessel)"
    assert caught.value.problem == f"ONNX has no counterpart of {operator}; do that step before the rows are sent"
    with pytest.raises(Unsupported, match="no counterpart of the operator aten::special_bessel_j0; do that step"):
        convert_trace(network, inputs, ["out"])


def test_an_input_that_does_not_matter_is_named(models: ModuleType) -> None:
    network, inputs = prepare(models.Unused(), x=NUMBERS, ignored=NUMBERS)

    graph = convert_program(network, inputs, ["out"])
    np.testing.assert_allclose(run(graph, x=NUMBERS, ignored=NUMBERS)[0], NUMBERS * 2)

    with pytest.raises(Unsupported, match="its answer does not depend on ignored; leave it out of forward"):
        convert_trace(network, inputs, ["out"])


def test_a_program_is_converted_as_it_was_exported(torch: ModuleType, models: ModuleType) -> None:
    rows = torch.export.Dim("rows")
    arrays = torch.zeros(2, 3), torch.zeros(2, 2)
    program = torch.export.export(models.Two().eval(), arrays, dynamic_shapes=({0: rows}, {0: rows}, None)[:2])
    network = read_network(program)
    inputs = FRAMEWORK.signature(program)

    graph = convert_program(network, inputs, ["out"])

    given = {"height": NUMBERS, "weight": NUMBERS[:, :2]}
    np.testing.assert_allclose(run(graph, **given)[0], network.run(given)[""], rtol=1e-5, atol=1e-6)
