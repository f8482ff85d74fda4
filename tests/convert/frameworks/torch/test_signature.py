from types import ModuleType
from typing import Any

import numpy as np
import pytest

from snooze.bundle.errors import InvalidData
from snooze.convert.checks.synthetic import draw_inputs
from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.interface import Inputs
from snooze.convert.frameworks.torch.network import read_network
from snooze.convert.frameworks.torch.signature import from_program, from_sample, max_rows

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore")]  # PyTorch warns of its own calls

IDS = np.arange(40).reshape(5, 8)


def shapes(inputs: Inputs) -> list[tuple[Any, ...]]:
    return [(one.tensor.name, one.tensor.datatype, one.tensor.shape, one.axis) for one in inputs]


def sample(model: Any, **arrays: Any) -> Inputs:
    return from_sample(read_network(model), {name: np.asarray(array) for name, array in arrays.items()})


def test_dimensions_in_which_a_network_runs_are_variable(torch: ModuleType, models: ModuleType) -> None:
    conv = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())

    assert shapes(sample(models.Words(), words=IDS)) == [("words", "INT64", (-1, -1), 0)]
    assert shapes(sample(conv, input=np.zeros((4, 1, 8, 8)))) == [("input", "FP32", (-1, 1, -1, -1), 0)]
    assert shapes(sample(torch.nn.Linear(3, 2), input=np.zeros((4, 3)))) == [("input", "FP32", (-1, 3), 0)]


def test_inputs_of_one_length_are_changed_together(torch: ModuleType) -> None:
    class Masked(torch.nn.Module):  # type: ignore[name-defined]
        def forward(self, ids: Any, mask: Any) -> Any:
            return (ids * mask).sum(1)

    found = sample(Masked(), ids=np.ones((4, 6)), mask=np.ones((4, 6)))

    assert [one.tensor.shape for one in found] == [(-1, -1), (-1, -1)]
    assert [one.domain.lengths for one in found] == [(6, 7, 12, 5)] * 2


def test_integers_stay_within_the_embedding(models: ModuleType) -> None:
    (words,) = sample(models.Words(), words=IDS)

    assert (words.domain.least, words.domain.most) == (0, 49)
    assert all(draw_inputs((words,), 9, length)["words"].shape[1] == size for length, size in enumerate((8, 9, 16, 7)))


@pytest.mark.parametrize(
    ("array", "datatype"),
    [
        (np.zeros((4, 3)), "FP32"),
        (np.zeros((4, 3), np.uint8), "FP32"),
        (np.zeros((4, 3), np.int64), "FP32"),
        (np.zeros((4, 3), bool), "FP32"),
    ],
)
def test_rows_get_the_datatype_that_the_network_calculates_in(torch: ModuleType, array: Any, datatype: str) -> None:
    assert sample(torch.nn.Linear(3, 2), input=array)[0].tensor.datatype == datatype
    assert sample(torch.nn.Linear(3, 2).double(), input=array)[0].tensor.datatype == "FP64"


def test_only_arguments_that_the_sample_has_are_inputs(models: ModuleType) -> None:
    two = {"height": np.zeros((4, 3)), "weight": np.zeros((4, 2))}

    assert [one.tensor.name for one in sample(models.Two(), **two)] == ["height", "weight"]
    assert [one.tensor.name for one in sample(models.Two(), **two, scale=np.ones((4, 1)))] == [*two, "scale"]


def test_columns_of_a_table_are_the_only_input(torch: ModuleType) -> None:
    (found,) = sample(torch.nn.Linear(2, 1), age=np.arange(4), income=np.arange(4.0))

    assert shapes((found,)) == [("input", "FP32", (-1, 2), 0)]


def test_a_list_of_numbers_is_a_column_if_the_network_needs_one(torch: ModuleType) -> None:
    assert sample(torch.nn.Linear(1, 2), input=np.arange(4.0))[0].tensor.shape == (-1, 1)
    assert sample(torch.nn.Identity(), input=np.arange(4.0))[0].tensor.shape == (-1,)


def test_without_a_sample_the_arguments_are_named(models: ModuleType) -> None:
    with pytest.raises(InvalidData) as caught:
        from_sample(read_network(models.Two()), None)

    assert str(caught.value) == (
        "Two: needs a sample to find its shapes: add --data with rows for height, weight, scale"
    )


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"height": np.zeros((4, 3))}, "Two also takes weight; got height"),
        ({"height": np.zeros((4, 3)), "weight": np.zeros((4, 9))}, "Two does not accept it: "),
        ({"height": np.zeros((4, 3)), "weight": np.array([["a"]] * 4)}, "input 'weight' contains text"),
        ({"height": np.zeros((0, 3)), "weight": np.zeros((0, 2))}, "input 'height' has no rows"),
    ],
)
def test_a_sample_that_does_not_fit_is_refused(models: ModuleType, given: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidData) as caught:
        sample(models.Two(), **given)

    assert caught.value.problem.startswith(problem)


def test_a_number_of_rows_that_is_built_in_is_refused(models: ModuleType) -> None:
    with pytest.raises(Unsupported, match=r"it does not accept 1 row: .*; take the number of rows from the input"):
        sample(models.TwoRows(), x=np.zeros((2, 3)))


def test_a_program_states_its_inputs(torch: ModuleType, models: ModuleType) -> None:
    kinds = torch.export.Dim
    free = {0: kinds("rows", max=64), 1: kinds("length", min=2, max=20)}
    network = read_network(
        torch.export.export(models.Bag().eval(), (torch.zeros(2, 8, dtype=torch.int64),), dynamic_shapes=(free,))
    )

    (words,) = from_program(network)

    assert shapes((words,)) == [("words", "INT64", (-1, -1), 0)]
    assert words.domain == words.domain._replace(least=0, most=49, lengths=(16, 7, 20))
    assert max_rows(network) == 64


def test_a_program_of_fixed_shape_has_no_rows(torch: ModuleType) -> None:
    network = read_network(torch.export.export(torch.nn.Linear(3, 2).eval(), (torch.zeros(4, 3),)))

    assert shapes(from_program(network)) == [("input", "FP32", (4, 3), None)]
    assert max_rows(network) is None


def test_a_program_for_many_rows_only_is_refused(torch: ModuleType) -> None:
    rows = torch.export.Dim("rows", min=8)
    program = torch.export.export(torch.nn.Linear(3, 2).eval(), (torch.zeros(9, 3),), dynamic_shapes=({0: rows},))

    with pytest.raises(Unsupported, match="input 'input' was exported for 8 rows or more"):
        from_program(read_network(program))
