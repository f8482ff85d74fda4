import numpy as np

from snooze.bundle.datatypes import DATATYPES, NAMES, ORT_TYPES


def test_every_datatype_has_one_numpy_and_one_onnx_runtime_type() -> None:
    assert [NAMES[dtype] for dtype in DATATYPES.values()] == list(DATATYPES)
    assert sorted(ORT_TYPES.values()) == sorted(DATATYPES)
    assert DATATYPES[ORT_TYPES["tensor(float)"]] == np.float32
    assert DATATYPES[ORT_TYPES["tensor(string)"]] == np.object_
