"""
The servers that are compared: how each is started, how it is asked for the same prediction, and what is right.

All run the same model file under the same Python. What a peer's author would not set, we do not set for it;
`ORT_DISABLE_TELEMETRY` is the exception, for nobody's measurement should be reported to a vendor.
"""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from snooze.benchmarks.errors import InvalidData, InvalidOption, WrongAnswer
from snooze.benchmarks.load.payloads import Payload, encode
from snooze.bundle.contract import Bundle
from snooze.bundle.datatypes import DATATYPES
from snooze.bundle.samples import Sample, matches, read_samples
from snooze.bundle.store import latest, read

PEERS: Final = Path(__file__).parent
ENVIRONMENT: Final = {"ORT_DISABLE_TELEMETRY": "1"}


@dataclass(frozen=True, slots=True)
class Golden:
    """One golden row of a bundle and what the model must answer to it."""

    folder: Path
    bundle: Bundle
    samples: Sample

    @classmethod
    def of(cls, path: Path) -> "Golden":
        """
        Return the first golden row of the bundle at `path`.

        Raises:
            BundleError: there is no bundle, or not one alone.
        """
        folder = latest(path).folder
        bundle = read(folder)
        samples = read_samples(folder, bundle)
        first = Sample(
            {name: array[:1] for name, array in samples.inputs.items()},
            {name: array[:1] for name, array in samples.outputs.items()},
        )
        return cls(folder, bundle, first)

    def check(self, server: str, outputs: Mapping[str, Any]) -> None:
        """
        Raises:
            WrongAnswer: an output is missing or further from its golden value than the bundle tolerates.
        """
        for tensor in self.bundle.outputs:
            if tensor.name not in outputs:
                raise WrongAnswer(server, f"there is no output {tensor.name!r}")
            expected = self.samples.outputs[tensor.name]
            got = np.array(outputs[tensor.name], DATATYPES[tensor.datatype])
            if got.size != expected.size:
                raise WrongAnswer(server, f"output {tensor.name!r} has {got.size} values, expected {expected.size}")
            if not matches(got.reshape(expected.shape), expected, self.bundle.tolerance[tensor.name]):
                raise WrongAnswer(server, f"output {tensor.name!r} is {got.tolist()}, expected {expected.tolist()}")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A server that can be started, asked and judged. `outputs` takes its answer apart; None: it predicts nothing."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    path: str
    payload: Payload
    outputs: Callable[[Any], Mapping[str, Any]] | None

    def check(self, golden: Golden, body: bytes) -> None:
        """
        Raises:
            WrongAnswer: the body is not the golden answer.
        """
        if self.outputs is None:
            return
        try:
            outputs = self.outputs(json.loads(body))
        except (ValueError, KeyError, TypeError):
            raise WrongAnswer(self.name, f"it answers {body[:200]!r}") from None
        golden.check(self.name, outputs)


def snooze(golden: Golden) -> Candidate:
    """Return our server, as the image starts it, with JSON in the Open Inference form."""
    return Candidate(
        "snooze",
        (sys.executable, "-m", "snooze.service"),
        {"SNOOZE_MODELS": str(golden.folder), "SNOOZE_HOST": "127.0.0.1"},
        f"/v2/models/{golden.bundle.name}/infer",
        encode(golden.samples.inputs, golden.bundle.inputs, "v2", False, str(golden.folder)),
        lambda answer: {output["name"]: output["data"] for output in answer["outputs"]},
    )


def fastapi_usual(golden: Golden) -> Candidate:
    """Return FastAPI with ONNX Runtime as usually written."""
    return _fastapi("fastapi", "fastapi_usual.py", golden)


def fastapi_tuned(golden: Golden) -> Candidate:
    """Return FastAPI with ONNX Runtime as written with care."""
    return _fastapi("fastapi tuned", "fastapi_tuned.py", golden)


def bare(golden: Golden) -> Candidate:
    """Return bare uvicorn, which reads the body that our server reads and answers a constant."""
    asked = snooze(golden)
    return Candidate("bare uvicorn", (sys.executable, str(PEERS / "bare.py")), {}, asked.path, asked.payload, None)


KNOWN: Final[Mapping[str, Callable[[Golden], Candidate]]] = {
    "snooze": snooze,
    "fastapi": fastapi_usual,
    "fastapi-tuned": fastapi_tuned,
    "bare": bare,
}


def choose(names: str, golden: Golden) -> list[Candidate]:
    """
    Return the candidates of a list like `snooze,fastapi`.

    Raises:
        InvalidOption: one of them is not known.
        InvalidData: a peer cannot take the model's input.
    """
    for name in names.split(","):
        if name not in KNOWN:
            raise InvalidOption("--servers", name, f"names out of {', '.join(KNOWN)}")
    return [KNOWN[name](golden) for name in names.split(",")]


def _fastapi(name: str, script: str, golden: Golden) -> Candidate:
    features = golden.bundle.inputs[0]
    if len(golden.bundle.inputs) > 1 or features.datatype != "FP32" or len(features.shape) != 2:
        raise InvalidData(str(golden.folder), f"{name} takes one FP32 input of rows; choose a tabular model")
    rows = encode(golden.samples.inputs, [features], "predict", False, str(golden.folder))
    return Candidate(
        name,
        (sys.executable, str(PEERS / script)),
        {"MODEL": str(golden.folder / golden.bundle.session.file)},
        "/predict",
        Payload(b'{"rows":' + rows.body + b"}", rows.headers),
        lambda answer: answer,
    )
