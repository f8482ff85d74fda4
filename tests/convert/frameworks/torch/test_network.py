import copy
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from snooze.convert.errors import NotAModel, Unfitted, Unsupported
from snooze.convert.frameworks.torch.network import answer_twice, flatten, read_network

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore")]  # PyTorch warns of its own calls

ROWS = np.array([[1.0, 2, 3], [-4, 5, 0.5]], np.float32)


def test_a_module_answers_in_evaluation_mode_and_is_not_changed(torch: ModuleType) -> None:
    model = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.BatchNorm1d(3)).train()
    before = copy.deepcopy(model.state_dict())

    network = read_network(model)

    np.testing.assert_allclose(network.run({"input": ROWS})[""], ROWS, rtol=1e-4)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_a_module_in_low_precision_is_cast(torch: ModuleType, kind: str) -> None:
    model = torch.nn.Linear(3, 2).to(getattr(torch, kind))

    network = read_network(model)

    assert network.cast == kind
    assert network.run({"input": ROWS})[""].dtype == np.float32
    assert str(model.weight.dtype) == f"torch.{kind}"


@pytest.mark.parametrize("wrap", ["DataParallel", "compile"])
def test_a_module_is_taken_out_of_its_wrapper(torch: ModuleType, wrap: str) -> None:
    inner = torch.nn.Linear(3, 2)
    model = torch.nn.DataParallel(inner) if wrap == "DataParallel" else torch.compile(inner)

    assert read_network(model).name == "Linear"


def test_arguments_are_those_of_forward(torch: ModuleType, models: ModuleType) -> None:
    expected = {"height": True, "weight": True, "scale": False}

    assert read_network(models.Two()).arguments == expected
    assert read_network(torch.jit.script(models.Two())).arguments == expected


def test_torchscript_takes_only_tensors(torch: ModuleType, models: ModuleType) -> None:
    assert read_network(torch.jit.script(models.Named())).arguments == {"x": True}
    with pytest.raises(Unsupported, match="its argument 'rate' is of type int, and only tensors are sent; give it a"):
        read_network(torch.jit.script(models.Sound()))


def test_outputs_have_the_names_that_forward_gives_them(models: ModuleType) -> None:
    assert [*read_network(models.Answers()).run({"x": ROWS})] == ["kind", "x", "parts_0", "parts_1"]


def test_an_answer_is_flattened_with_the_way_to_each_tensor(torch: ModuleType) -> None:
    one = torch.zeros(1)

    found = [(name, path) for name, path, _ in flatten((one, {"a": one, "b": [one, None]}, (one,)))]

    assert found == [
        ("output_0", "[0]"),
        ("output_1_a", "[1]['a']"),
        ("output_1_b_0", "[1]['b'][0]"),
        ("output_2", "[2][0]"),
    ]


def test_what_is_not_a_tensor_is_refused(models: ModuleType) -> None:
    with pytest.raises(Unsupported, match="its answer is a int; return tensors from forward"):
        read_network(models.Length()).run({"x": ROWS})


def test_rows_that_a_network_does_not_accept_raise_one_line(torch: ModuleType) -> None:
    for model in (torch.nn.Linear(4, 2), torch.jit.script(torch.nn.Linear(4, 2))):
        with pytest.raises(ValueError, match=r"^(addmm: )?mat1 and mat2 shapes cannot be multiplied \(2x3 and 4x2\)$"):
            read_network(model).run({"input": ROWS})


def test_random_numbers_are_refused(models: ModuleType) -> None:
    with pytest.raises(Unsupported, match="it answers differently to the same rows"):
        answer_twice(read_network(models.Noise()), {"x": ROWS})


def test_a_program_exported_in_training_mode_is_refused(torch: ModuleType) -> None:
    for layer in (torch.nn.Dropout(0.5), torch.nn.BatchNorm1d(3)):
        program = torch.export.export(torch.nn.Sequential(layer).train(), (torch.zeros(2, 3),))
        with pytest.raises(Unsupported, match=r"(dropout|batch_norm) was recorded in training mode; call model\.eval"):
            read_network(program)


def test_a_trace_made_in_training_mode_is_refused(torch: ModuleType) -> None:
    for layer in (torch.nn.Dropout(0.5), torch.nn.BatchNorm1d(3)):
        trace = torch.jit.trace(torch.nn.Sequential(layer).train(), torch.zeros(2, 3), check_trace=False)
        with pytest.raises(Unsupported, match=r"(dropout|batch_norm) was recorded in training mode; call model\.eval"):
            read_network(trace)


def test_graphs_in_low_precision_are_refused(torch: ModuleType) -> None:
    half = torch.nn.Linear(3, 2).to(torch.bfloat16)
    rows = torch.zeros(2, 3, dtype=torch.bfloat16)

    for model in (torch.jit.trace(half, rows), torch.export.export(half, (rows,))):
        with pytest.raises(Unsupported, match=r"it has weights in bfloat16; call \.float\(\) on the module"):
            read_network(model)


def test_weights_are_not_a_network(torch: ModuleType) -> None:
    with pytest.raises(NotAModel, match="contains weights without their network; save both"):
        read_network(torch.nn.Linear(3, 2).state_dict())


@pytest.mark.parametrize("other", [1, "tensor"])
def test_other_objects_are_not_networks(torch: ModuleType, other: Any) -> None:
    with pytest.raises(NotAModel, match="is not a network of PyTorch"):
        read_network(torch.zeros(1) if other == "tensor" else other)


def test_weights_without_values_are_refused(torch: ModuleType) -> None:
    with pytest.raises(Unfitted, match="lazy layers"):
        read_network(torch.nn.LazyLinear(2))
    with pytest.raises(Unsupported, match="its weights are on the meta device"):
        read_network(torch.nn.Linear(3, 2, device="meta"))


def test_a_forward_of_anything_is_refused(torch: ModuleType) -> None:
    class Anything(torch.nn.Module):  # type: ignore[name-defined]
        def forward(self, *arrays: Any) -> Any:
            return arrays[0]

    with pytest.raises(Unsupported, match="its forward has no named arguments"):
        read_network(Anything())
