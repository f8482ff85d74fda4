from collections.abc import Hashable
from pathlib import Path

import numpy as np
import pytest
from tests.service.conftest import identity, publish, two_inputs

from snooze.bundle.contract import Batching
from snooze.bundle.store import read
from snooze.service.messages import Call
from snooze.service.runtime.joining import find_group, join, split


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> "Groups":
    return Groups(tmp_path_factory.mktemp("models"))


class Groups:
    """Groups of calls for a model with rows of variable length."""

    def __init__(self, root: Path) -> None:
        self.bundle = read(publish(root, "m", identity("FP32", (-1, -1))))

    def find(self, shape: tuple[int, ...], outputs: tuple[str, ...] = ("y",)) -> Hashable:
        return find_group(self.bundle, Call({"x": np.zeros(shape, np.float32)}, list(outputs)), shape[0])


def test_calls_fit_together_if_they_differ_in_rows_only(groups: Groups) -> None:
    assert groups.find((1, 2)) == groups.find((5, 2))
    assert groups.find((1, 2)) != groups.find((1, 3))
    assert groups.find((1, 2)) != groups.find((1, 2), ("y", "y"))


def test_a_call_whose_inputs_have_different_rows_fits_to_no_other(tmp_path: Path) -> None:
    bundle = read(publish(tmp_path, "person", two_inputs()))
    feeds = {"age": np.zeros(2, np.int64), "weight": np.zeros(1, np.int64), "note": np.array(["a", "b"], object)}

    assert find_group(bundle, Call(feeds, ["total"]), 2) is None
    assert find_group(bundle, Call(feeds | {"weight": np.zeros(2, np.int64)}, ["total"]), 2) == ("total", (), (), ())


@pytest.mark.parametrize("axis", [0, 1])
def test_what_was_joined_is_split_into_the_same(groups: Groups, axis: int) -> None:
    bundle = groups.bundle._replace(batching=Batching(axis, 64))
    shapes = [(2, 3), (2, 3)] if axis else [(1, 3), (0, 3), (4, 3)]
    calls = [Call({"x": np.random.default_rng(i).normal(size=shape)}, ["y"]) for i, shape in enumerate(shapes)]
    rows = [call.feeds["x"].shape[axis] for call in calls]
    assert len({find_group(bundle, call, own) for call, own in zip(calls, rows, strict=True)}) == 1

    parts = split([join(calls, axis)["x"]], rows, axis)

    assert parts is not None
    for call, (part,) in zip(calls, parts, strict=True):
        np.testing.assert_array_equal(part, call.feeds["x"])
        assert part.flags.c_contiguous


def test_outputs_without_a_row_for_each_row_are_not_split() -> None:
    assert split([np.zeros((3, 1)), np.zeros((2, 1))], [1, 2], 0) is None
