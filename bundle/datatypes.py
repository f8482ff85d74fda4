"""The datatypes of the Open Inference Protocol, and what numpy and ONNX Runtime call them."""

from typing import Any, Final

import numpy as np

from snooze.bundle.contract import Datatype

_TABLE: Final[tuple[tuple[Datatype, type, str], ...]] = (
    ("BOOL", np.bool_, "bool"),
    ("UINT8", np.uint8, "uint8"),
    ("UINT16", np.uint16, "uint16"),
    ("UINT32", np.uint32, "uint32"),
    ("UINT64", np.uint64, "uint64"),
    ("INT8", np.int8, "int8"),
    ("INT16", np.int16, "int16"),
    ("INT32", np.int32, "int32"),
    ("INT64", np.int64, "int64"),
    ("FP16", np.float16, "float16"),
    ("FP32", np.float32, "float"),
    ("FP64", np.float64, "double"),
    ("BYTES", np.object_, "string"),
)
DATATYPES: Final[dict[Datatype, np.dtype[Any]]] = {name: np.dtype(scalar) for name, scalar, _ in _TABLE}
NAMES: Final[dict[np.dtype[Any], Datatype]] = {dtype: name for name, dtype in DATATYPES.items()}
ORT_TYPES: Final[dict[str, Datatype]] = {f"tensor({ort})": name for name, _, ort in _TABLE}
