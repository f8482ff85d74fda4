"""
The servers that are compared: how each is started, how it is asked for the same prediction, and what is right.

All run the same model file in the same environment, each with the settings that its author would choose;
`ORT_DISABLE_TELEMETRY` is set for all, so that no measurement is reported to a vendor.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from snooze.benchmarks.errors import StartFailed, WrongAnswer
from snooze.bundle.contract import Bundle
from snooze.bundle.datatypes import DATATYPES
from snooze.bundle.errors import InvalidData, InvalidOption
from snooze.bundle.samples import Sample, matches, read_samples
from snooze.bundle.store import latest
from snooze.client import v2
from snooze.client.exchange import Payload

PEERS: Final = Path(__file__).parent
ENVIRONMENT: Final = {"ORT_DISABLE_TELEMETRY": "1"}


class Golden(NamedTuple):
    """One golden row of a bundle."""

    folder: Path
    bundle: Bundle
    sample: Sample

    @classmethod
    def of(cls, path: Path) -> "Golden":
        """Return the first golden row of the latest version of the model at `path`, or raise a BundleError."""
        found = latest(path)
        first = read_samples(found.folder, found.bundle)[0]
        rows = {one.name for one in (*found.bundle.inputs, *found.bundle.outputs) if one.shape[:1] == (-1,)}
        sides = ({name: array[:1] if name in rows else array for name, array in side.items()} for side in first)
        return cls(found.folder, found.bundle, Sample(*sides))

    def check(self, server: str, outputs: Mapping[str, Any]) -> None:
        """Raise WrongAnswer if an output is missing or differs from its golden value by more than the tolerance."""
        for tensor in self.bundle.outputs:
            if tensor.name not in outputs:
                raise WrongAnswer(server, f"there is no output {tensor.name!r}")
            expected = self.sample.outputs[tensor.name]
            got = np.array(outputs[tensor.name], DATATYPES[tensor.datatype])
            if got.size != expected.size:
                raise WrongAnswer(server, f"output {tensor.name!r} has {got.size} values, expected {expected.size}")
            if not matches(got.reshape(expected.shape), expected, self.bundle.tolerance[tensor.name]):
                raise WrongAnswer(server, f"output {tensor.name!r} is {got.tolist()}, expected {expected.tolist()}")


class Candidate(NamedTuple):
    """A server to compare. `outputs` returns the outputs in an answer; None: it makes no predictions."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    path: str
    payload: Payload
    outputs: Callable[[Any], Mapping[str, Any]] | None

    def check(self, golden: Golden, body: bytes) -> None:
        """Raise WrongAnswer if the body does not contain the golden outputs."""
        if self.outputs is None:
            return
        try:
            outputs = self.outputs(json.loads(body))
        except (ValueError, KeyError, TypeError):
            raise WrongAnswer(self.name, f"the answer is {body[:200]!r}") from None
        golden.check(self.name, outputs)


def snooze(golden: Golden, python: str = sys.executable) -> Candidate:
    """Return Snooze's server as the image starts it, with JSON of the Open Inference protocol."""
    return Candidate(
        "snooze",
        (python, "-P", "-m", "snooze.service"),
        {"SNOOZE_MODELS": str(golden.folder), "SNOOZE_HOST": "127.0.0.1"},
        f"/v2/models/{golden.bundle.name}/infer",
        v2.encode(golden.sample.inputs, golden.bundle.inputs, str(golden.folder)),
        lambda answer: {output["name"]: output["data"] for output in answer["outputs"]},
    )


def snooze_serve(golden: Golden, python: str = sys.executable) -> Candidate:
    """Return Snooze's server as the command starts it; it takes $PORT."""
    command = (str(Path(python).with_name("snooze")), "serve", str(golden.folder))
    return snooze(golden, python)._replace(name="snooze serve", command=command, environment={})


def fastapi(name: str, script: str, golden: Golden, python: str = sys.executable) -> Candidate:
    """Return a server of FastAPI with ONNX Runtime, or raise InvalidData if it cannot take the model's input."""
    features = golden.bundle.inputs[0]
    if len(golden.bundle.inputs) > 1 or features.datatype != "FP32" or len(features.shape) != 2:
        raise InvalidData(str(golden.folder), f"{name} takes one FP32 input of rows; choose a tabular model")
    return Candidate(
        name,
        (python, str(PEERS / script)),
        {"MODEL": str(golden.folder / golden.bundle.session.file)},
        "/predict",
        v2.encode_rows(golden.sample.inputs, [features], str(golden.folder)),
        lambda answer: answer,
    )


def bare(golden: Golden, python: str = sys.executable) -> Candidate:
    """Return bare uvicorn, which reads the same body as Snooze and answers with a constant."""
    ours = snooze(golden)
    return Candidate("bare uvicorn", (python, str(PEERS / "bare.py")), {}, ours.path, ours.payload, None)


KNOWN: Final[Mapping[str, Callable[[Golden, str], Candidate]]] = {
    "snooze": snooze,
    "snooze-serve": snooze_serve,
    "fastapi": partial(fastapi, "fastapi", "fastapi_usual.py"),
    "fastapi-tuned": partial(fastapi, "fastapi tuned", "fastapi_tuned.py"),
    "bare": bare,
}


def choose(names: str, golden: Golden, python: str = sys.executable) -> list[Candidate]:
    """Return the candidates in a list such as `snooze,fastapi`, started with the interpreter `python`."""
    for name in names.split(","):
        if name not in KNOWN:
            raise InvalidOption("--servers", f"expected some of {', '.join(KNOWN)}, got {name!r}")
    return [KNOWN[name](golden, python) for name in names.split(",")]


def describe_installation(python: str) -> str:
    """Return whether the environment of an interpreter contains Snooze as a package or as a link to a working copy."""
    code = "import snooze.service; print(snooze.service.__file__)"
    done = subprocess.run([python, "-P", "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        raise StartFailed("snooze", f"{python} cannot import it; give --python an environment that has it")
    return "snooze is an installed package" if "site-packages" in done.stdout else "snooze is an editable working copy"
