"""
A bundle for the proof of an image without models, made from a model that ONNX Runtime's wheel contains.

The Dockerfile's build stage runs this file as a script (`python sample.py FOLDER`), before that model is removed.
"""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np

from snooze.bundle.codec import CONTRACT, SAMPLES, encode
from snooze.bundle.contract import Bundle, Session, Source, Tensor, Tolerance
from snooze.bundle.samples import Sample, write_samples
from snooze.bundle.store import sha256

MODEL: Final = "sigmoid.onnx"
SHAPE: Final = (3, 4, 5)


def write(model: Path, folder: Path) -> None:
    """Write the bundle of the model `y = 1 / (1 + exp(-x))` to `folder`."""
    folder.mkdir(parents=True)
    (folder / MODEL).write_bytes(model.read_bytes())
    x = np.linspace(-4, 4, 60, dtype=np.float32).reshape(SHAPE)
    write_samples(folder / SAMPLES, [Sample({"x": x}, {"y": 1 / (1 + np.exp(-x))})])
    bundle = Bundle(
        name="sample",
        version=1,
        created="2026-01-01T00:00:00Z",
        source=Source("ONNX", "", None, None, None, None),
        inputs=(Tensor("x", "FP32", SHAPE),),
        outputs=(Tensor("y", "FP32", SHAPE),),
        task=None,
        labels=None,
        batching=None,
        adapter=None,
        session=Session(MODEL, "all", 1, "loop"),
        tolerance={"y": Tolerance(atol=1e-5)},
        evidence={},
        profile={},
        files={name: sha256(folder / name) for name in (MODEL, SAMPLES)},
    )
    (folder / CONTRACT).write_text(encode(bundle), "utf-8")


if __name__ == "__main__":
    package = find_spec("onnxruntime")
    assert package is not None
    assert package.origin is not None
    write(Path(package.origin).with_name("datasets") / MODEL, Path(sys.argv[1]) / "1")
