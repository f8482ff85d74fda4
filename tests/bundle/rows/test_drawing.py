import numpy as np

from snooze.bundle.contract import Tensor
from snooze.bundle.rows.drawing import draw


def test_drawn_rows_fit_the_signature_and_are_the_same_each_time() -> None:
    inputs = (
        Tensor("floats", "FP64", (-1, 3)),
        Tensor("flags", "BOOL", (-1,)),
        Tensor("texts", "BYTES", (-1, -1)),
        Tensor("fixed", "INT8", (2, 2)),
        Tensor("rank 0", "FP32", ()),
    )

    drawn = draw(inputs, 5)

    assert {name: array.shape for name, array in drawn.items()} == {
        "floats": (5, 3), "flags": (5,), "texts": (5, 16), "fixed": (2, 2), "rank 0": (),
    }  # fmt: skip
    np.testing.assert_array_equal(drawn["floats"], drawn["floats"].astype(np.float32))
    assert all((drawn[name] == again).all() for name, again in draw(inputs, 5).items())
