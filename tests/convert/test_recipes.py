from types import SimpleNamespace
from typing import Any

import pytest

from snooze.convert.recipes import recipes


def graph(*operators: str) -> Any:
    return SimpleNamespace(graph=SimpleNamespace(node=[SimpleNamespace(op_type=name) for name in operators]))


@pytest.mark.parametrize(
    ("operators", "names"),
    [
        (("Conv", "Relu", "Gemm"), ["int8-static"]),
        (("MatMul", "Relu"), ["int8-dynamic", "int8-dynamic-per-channel", "int8-static"]),
        (("Gemm", "LSTM"), ["int8-dynamic", "int8-dynamic-per-channel"]),
        (("MatMul", "LayerNormalization"), ["int8-dynamic", "int8-dynamic-per-channel"]),
    ],
)
def test_convolutions_are_calibrated_and_matrices_are_not_only(operators: tuple[str, ...], names: list[str]) -> None:
    assert [recipe.name for recipe in recipes(graph(*operators))] == names
