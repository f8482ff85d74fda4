from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from snooze.bundle.contract import Tensor
from snooze.convert.checks.boundaries import Boundaries
from snooze.convert.checks.cases import Case
from snooze.convert.checks.dataset import Dataset
from snooze.convert.checks.synthetic import (
    EDGE_TEXTS,
    FIXED_CASES,
    MAX_BYTES,
    draw_data,
    edge_cases,
    missing_cases,
)
from snooze.convert.frameworks.interface import Domain, Input

MakeRows = Callable[..., Dataset]
INPUTS = (Input(Tensor("features", "FP32", (-1, 2))),)


def drawn(*inputs: Input, count: int = 512) -> list[Case]:
    return list(draw_data(inputs, count).cases)


def test_draws_rows_of_the_signature() -> None:
    data = draw_data((Input(Tensor("words", "INT32", (-1, 3))), Input(Tensor("image", "FP32", (-1, 4, 4)))), 5)

    assert {name: array.shape for name, array in data.cases[0].tensors.items()} == {"words": (5, 3), "image": (5, 4, 4)}
    assert (len(data), data.real, data.labels) == (5, False, None)


def test_draws_floats_around_the_centre_of_each_column() -> None:
    domain = Domain(center=np.array([100.0, 0.0]), scale=np.array([20.0, 0.1]))

    (case,) = drawn(Input(Tensor("features", "FP32", (-1, 2)), 0, domain))

    array = case.tensors["features"]
    np.testing.assert_allclose(array.mean(0), [100, 0], atol=5)
    np.testing.assert_allclose(array.std(0), [20, 0.1], rtol=0.2)
    assert array.dtype == np.float64
    assert (array == array.astype(np.float32)).all()
    integers = array == np.round(array)
    assert integers[::4].all(0).tolist() == [True, False], "integers only where values are far apart"
    assert integers.mean() < 0.2


def test_draws_integers_and_texts_of_their_domain() -> None:
    words = Input(Tensor("words", "INT64", (-1, 4)), 0, Domain(least=1, most=9_999))
    kind = Input(Tensor("kind", "BYTES", (-1, 1)), 0, Domain(choices=("small", "large")))

    (case,) = drawn(words, kind, Input(Tensor("text", "BYTES", (-1,))))

    assert len(np.unique(case.tensors["words"])) > 1_000
    assert (case.tensors["words"].min() >= 1, case.tensors["words"].max() <= 9_999) == (True, True)
    assert set(case.tensors["kind"].ravel()) == {"small", "large"}
    assert case.tensors["text"].shape == (512,)


def test_draws_the_choices_of_columns_in_double_precision() -> None:
    """Categories such as 0.1 are others in single precision."""
    floats = Input(Tensor("floats", "FP32", (-1, 3)), 0, Domain(center=5, scale=2, columns=((0.1, 0.7), None, (3.0,))))
    integers = Input(Tensor("integers", "INT64", (-1, 2)), 0, Domain(most=9, columns=(None, (-7, 70))))
    column = Input(Tensor("column", "FP32", (-1, 1)), 0, Domain(choices=(0.1, 0.7)))

    (case,) = drawn(floats, integers, column)

    assert set(case.tensors["floats"][:, 0]) == set(case.tensors["column"].ravel()) == {0.1, 0.7}
    assert set(case.tensors["floats"][:, 2]) == {3.0}
    assert case.tensors["floats"][:, 1].std() > 1
    assert set(case.tensors["integers"][:, 1]) == {-7, 70}
    assert set(case.tensors["integers"][:, 0]) == set(range(10))


def test_draws_a_case_for_each_length() -> None:
    cases = drawn(Input(Tensor("words", "INT64", (-1, -1))), Input(Tensor("mask", "FP32", (-1, -1))), count=30)

    assert [case.tensors["words"].shape for case in cases] == [(10, 16), (10, 7), (10, 23)]
    assert [case.tensors["mask"].shape for case in cases] == [(10, 16), (10, 7), (10, 23)]


def test_draws_several_cases_of_inputs_without_rows() -> None:
    sound = drawn(Input(Tensor("sound", "FP32", (-1,)), None, Domain(lengths=(40, 30))))
    image = drawn(Input(Tensor("image", "FP32", (1, 8, 8))))

    assert [case.tensors["sound"].shape for case in sound[:3]] == [(40,), (30,), (40,)]
    assert [case.tensors["image"].shape for case in image] == [(1, 8, 8)] * FIXED_CASES


@pytest.mark.parametrize("rows", [-1, 1])
def test_draws_no_more_than_the_memory_allows(rows: int) -> None:
    cases = drawn(Input(Tensor("image", "FP32", (rows, 1024, 1024, 3))))

    size = sum(array.nbytes for case in cases for array in case.tensors.values())
    assert 0 < size <= MAX_BYTES


def values(cases: list[Case]) -> Any:
    return np.concatenate([case.tensors["features"] for case in cases]).tolist()


def test_makes_edge_cases_of_every_kind(matrix: MakeRows) -> None:
    data = matrix([[0.4, -2.5], [1.6, 3.5]])

    kinds = {kind: values(cases) for kind, cases in edge_cases(data, ()).items()}

    assert kinds["integers"] == [[0, -2], [2, 4]]
    assert kinds["zeros"] == [[0, 0], [0, 0]]
    assert kinds["negated"] == [[-0.4, 2.5], [-1.6, -3.5]]
    assert kinds["ten times as large"] == [[4, -25], [16, 35]]
    assert kinds["minimum"] == [[0.4, -2.5]]
    assert kinds["maximum"] == [[1.6, 3.5]]
    assert np.float32(kinds["next larger"][0][0]) == np.nextafter(np.float32(0.4), np.float32(1))
    assert np.float32(kinds["next smaller"][0][0]) == np.nextafter(np.float32(0.4), np.float32(0))


def test_makes_rows_on_and_between_the_boundaries_of_trees(matrix: MakeRows) -> None:
    found = Boundaries({("features", 1): np.array([0.25])}, {("features", 0): np.array([3.0, 5.0])})

    kinds = {kind: np.array(values(cases)) for kind, cases in edge_cases(matrix([[7, 8]]), INPUTS, found).items()}

    assert np.unique(kinds["on thresholds"], axis=0).tolist() == [[7, 0.25]]
    assert np.unique(kinds["between thresholds"], axis=0).tolist() == [[3, 8], [5, 8]]


@pytest.mark.parametrize("array", [np.array([[1, 2]]), np.array([[0.5, 1]], np.float32), np.array([[True, False]])])
def test_edges_of_a_float_input_are_floats_whatever_its_rows_are(matrix: MakeRows, array: Any) -> None:
    kinds = edge_cases(matrix(array), INPUTS)

    assert {"next larger", "negated", "ten times as large"} <= set(kinds)
    assert values(kinds["next larger"])[0][0] == np.nextafter(np.float32(array[0][0]), np.float32(9))
    assert values(kinds["negated"]) == (-array.astype(float)).tolist()


def test_edges_of_integers_are_the_ends_of_their_domain() -> None:
    words = Input(Tensor("words", "INT64", (-1, 2)), 0, Domain(least=1, most=9_999))

    kinds = edge_cases(draw_data((words,)), (words,))

    assert set(kinds) == {"least integers", "most integers", "minimum", "maximum"}
    assert [kinds[f"{end} integers"][0].tensors["words"][0].tolist() for end in ("least", "most")] == [
        [1] * 2,
        [9999] * 2,
    ]


def test_edges_of_texts_change_one_input_at_a_time() -> None:
    inputs = (Input(Tensor("town", "BYTES", (-1, 1))), Input(Tensor("kind", "BYTES", (-1, 1))))

    kinds = edge_cases(draw_data(inputs), inputs)

    assert {kind: len(cases) for kind, cases in kinds.items() if kind in EDGE_TEXTS} == dict.fromkeys(EDGE_TEXTS, 2)
    for case, changed in zip(kinds["empty text"], ("town", "kind"), strict=True):
        assert [name for name, array in case.tensors.items() if array.ravel().tolist() == [""]] == [changed]


@pytest.mark.parametrize("array", [np.array([[1e308]]), np.array([[3e38]], np.float32)])
def test_edges_of_very_large_numbers_are_infinite_without_a_warning(matrix: MakeRows, array: Any) -> None:
    made = edge_cases(matrix(array), ())

    assert values(made["negated"]) == (-array).tolist()
    assert np.isposinf(values(made["ten times as large"])).all()


def test_strings_and_cases_without_rows_have_edges_too() -> None:
    case = Case({"sound": np.array([0.4, 1.6]), "text": np.array(["a"], object)}, {"sound": None, "text": None})

    kinds = edge_cases(Dataset((case,)), ())

    assert "minimum" not in kinds
    assert kinds["integers"][0].tensors["sound"].tolist() == [0, 2]
    assert kinds["integers"][0].tensors["text"].tolist() == ["a"]


def test_makes_missing_values(matrix: MakeRows) -> None:
    made = missing_cases(matrix([[1, 2, 3]]), INPUTS)

    np.testing.assert_array_equal(values(made["some missing"]), [[np.nan, 2, np.nan]])
    np.testing.assert_array_equal(values(made["all missing"]), [[np.nan] * 3])


def test_each_of_several_inputs_may_be_missing() -> None:
    """A missing text is empty."""
    inputs = (Input(Tensor("age", "FP32", (-1, 1))), Input(Tensor("town", "BYTES", (-1, 1))))

    made = missing_cases(draw_data(inputs), inputs)

    assert list(made) == ["'age' missing", "'town' missing", "all missing"]
    ages, towns = ([made[kind][0].tensors[name].item() for kind in made] for name in ("age", "town"))
    assert np.isnan(ages).tolist() == [True, False, True]
    assert [town == "" for town in towns] == [False, True, True]


def test_integers_cannot_be_missing(matrix: MakeRows) -> None:
    assert missing_cases(matrix([[1, 2]]), ()) == {}
