"""How ONNX Runtime runs a model: the same in the checks of a conversion, its measurements and the server."""

from typing import Any

from snooze.bundle.contract import Optimization


def session_options(onnxruntime: Any, optimization: Optimization = "all", threads: int = 1) -> Any:
    """
    Return the `SessionOptions` of a bundle's session.

    Args:
        onnxruntime: the imported module; its telemetry must have been switched off before (`ORT_DISABLE_TELEMETRY=1`).
        optimization: "none" for a file that was optimized ahead of time, "all" to optimize when it is loaded.
        threads: threads of one operator.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # failures are raised as exceptions; everything else is noise on stderr
    level = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimization == "all" else level.ORT_DISABLE_ALL
    return options
