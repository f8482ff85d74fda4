import onnxruntime
import pytest

from snooze.bundle.contract import Optimization
from snooze.bundle.session import session_options


@pytest.mark.parametrize(
    ("optimization", "level"),
    [
        ("none", onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL),
        ("all", onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL),
    ],
)
def test_sets_optimization_and_threads(optimization: Optimization, level: object) -> None:
    options = session_options(onnxruntime, optimization, threads=3)

    assert options.graph_optimization_level == level
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (3, 1)
