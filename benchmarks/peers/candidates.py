"""
The servers that are compared: how each is started, how it is asked for the same prediction, and what is right.

All run the same model file, each with the settings that its author or an expert would choose; KServe and MLServer in
environments of their own, the others in that of Snooze. `ORT_DISABLE_TELEMETRY` is set for all, so that no measurement
is reported to a vendor.
"""

import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from snooze.benchmarks.errors import StartFailed, WrongAnswer
from snooze.benchmarks.machine import installed
from snooze.bundle.contract import Bundle
from snooze.bundle.datatypes import DATATYPES
from snooze.bundle.errors import InvalidData, InvalidOption
from snooze.bundle.samples import Sample, matches, read_samples
from snooze.bundle.store import latest
from snooze.client import v2
from snooze.client.errors import ClientError
from snooze.client.exchange import Answer, Payload

PEERS: Final = Path(__file__).parent
USUAL: Final = "fastapi_usual.py"
ENVIRONMENT: Final = {"ORT_DISABLE_TELEMETRY": "1"}
ONE_THREAD: Final = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # 55 ms less CPU at each start of numpy
PEER_PACKAGES: Final = ("onnxruntime", "numpy", "uvicorn", "fastapi")


class Golden(NamedTuple):
    """Some golden rows of a bundle."""

    folder: Path
    bundle: Bundle
    sample: Sample

    @classmethod
    def of(cls, path: Path, rows: int = 1) -> "Golden":
        """
        Return the first golden rows of the latest version of the model at `path`, repeated where there are too few.

        Raises:
            BundleError: there is no valid bundle.
            InvalidOption: a request of this model has no rows, and more than one was asked for.
        """
        found = latest(path)
        first = read_samples(found.folder, found.bundle)[0]
        growing = {one.name for one in (*found.bundle.inputs, *found.bundle.outputs) if one.shape[:1] == (-1,)}
        if rows > 1 and not growing:
            raise InvalidOption("--rows", f"a request of {found.bundle.name!r} has a fixed shape, so it has one row")
        inputs, outputs = (
            {
                name: array.take(range(rows), axis=0, mode="wrap") if name in growing else array
                for name, array in side.items()
            }
            for side in first.sides
        )
        return cls(found.folder, found.bundle, Sample(inputs, outputs))

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
    outputs: Callable[[Answer], Mapping[str, Any]] | None

    def with_environment(self, variables: Mapping[str, str]) -> "Candidate":
        """Return the same server with these variables besides its own."""
        return self._replace(environment={**self.environment, **variables})

    def check(self, golden: Golden, answer: Answer) -> None:
        """Raise WrongAnswer if the answer does not contain the golden outputs."""
        if self.outputs is None:
            return
        try:
            outputs = self.outputs(answer)
        except (ClientError, ValueError):
            raise WrongAnswer(self.name, f"the answer is {answer.body[:200]!r}") from None
        golden.check(self.name, outputs)


def snooze(golden: Golden, python: str = sys.executable, binary: bool = False) -> Candidate:
    """Return Snooze's server as the image starts it, with the Open Inference protocol."""
    return Candidate(
        "snooze",
        (python, "-P", "-m", "snooze.service"),
        {"SNOOZE_MODELS": str(golden.folder), "SNOOZE_HOST": "127.0.0.1"},
        f"/v2/models/{golden.bundle.name}/infer",
        v2.encode(golden.sample.inputs, golden.bundle.inputs, str(golden.folder), binary),
        v2.decode,
    )


def snooze_serve(golden: Golden, python: str = sys.executable, binary: bool = False) -> Candidate:
    """Return Snooze's server as the command starts it; it takes $PORT."""
    command = (str(Path(python).with_name("snooze")), "serve", str(golden.folder))
    return snooze(golden, python, binary)._replace(name="snooze serve", command=command, environment={})


def bare(golden: Golden, python: str = sys.executable, binary: bool = False) -> Candidate:
    """Return bare uvicorn, which reads the same body as Snooze and answers with a constant."""
    ours = snooze(golden, python, binary)
    return Candidate("bare uvicorn", (python, str(PEERS / "bare.py")), {}, ours.path, ours.payload, None)


def fastapi(name: str, script: str, golden: Golden, python: str = sys.executable, binary: bool = False) -> Candidate:
    """Return a server of FastAPI with ONNX Runtime, or raise InvalidData if it cannot take the model's input."""
    features = golden.bundle.inputs[0]
    usual = script == USUAL
    if len(golden.bundle.inputs) > 1 or features.datatype != "FP32" or (usual and len(features.shape) != 2):
        raise InvalidData(str(golden.folder), f"{name} takes one FP32 {'table' if usual else 'input'}; leave it out")
    return Candidate(
        name,
        (python, str(PEERS / script)),
        {"MODEL": str(golden.folder / golden.bundle.session.file), **({} if usual else ONE_THREAD)},
        "/predict",
        v2.encode_rows(golden.sample.inputs, [features], str(golden.folder)),
        Answer.json_object,
    )


def open_inference(script: str, name: str, golden: Golden, python: str, binary: bool = False) -> Candidate:
    """Return another server of the Open Inference protocol, in an environment of its own."""
    ours = snooze(golden, binary=binary)
    environment = {"MODEL": str(golden.folder / golden.bundle.session.file), "NAME": golden.bundle.name, **ONE_THREAD}
    return ours._replace(name=name, command=(python, str(PEERS / script)), environment=environment)


KNOWN: Final[Mapping[str, Callable[[Golden, str, bool], Candidate]]] = {
    "bare": bare,
    "snooze": snooze,
    "snooze-serve": snooze_serve,
    "fastapi": partial(fastapi, "fastapi", USUAL),
    "fastapi-tuned": partial(fastapi, "fastapi tuned", "fastapi_tuned.py"),
    "kserve": partial(open_inference, "kserve_tuned.py", "kserve"),
    "mlserver": partial(open_inference, "mlserver_tuned.py", "mlserver"),
}
OWN_ENVIRONMENT: Final = ("kserve", "mlserver")
TAKES_BINARY: Final = ("bare", "snooze", "snooze-serve", "kserve")


class Servers(NamedTuple):
    """The names of the servers to compare, the interpreter of Snooze's environment, and those of other environments."""

    names: tuple[str, ...]
    python: str = sys.executable
    peers: Mapping[str, str] = {}

    @classmethod
    def of(cls, names: str, python: str = sys.executable, peers: Mapping[str, str] | None = None) -> "Servers":
        """Return the servers in a list such as `snooze,kserve`; InvalidOption for one that is unknown."""
        peers = peers or {}
        for name in (*names.split(","), *peers):
            if name not in KNOWN:
                raise InvalidOption("--servers", f"expected some of {', '.join(KNOWN)}, got {name!r}")
            if name in OWN_ENVIRONMENT and name not in peers:
                raise InvalidOption("--peer-python", f"{name} needs one of its own; give {name}=PATH of an interpreter")
        return cls(tuple(names.split(",")), python, peers)

    def candidates(self, golden: Golden, binary: bool = False) -> list[Candidate]:
        """Return those that take the golden rows in this encoding; InvalidData if one cannot take the model."""
        return [
            KNOWN[name](golden, self.peers.get(name, self.python), binary)
            for name in self.names
            if name in TAKES_BINARY or not binary
        ]

    def describe(self) -> str:
        """Return how Snooze is installed, and the versions in the other environments; StartFailed without a package."""
        return "; ".join([describe_installation(self.python), *map(self._describe_peer, self.peers)])

    def _describe_peer(self, name: str) -> str:
        versions = installed(self.peers[name], (name, *PEER_PACKAGES))
        if name not in versions:
            raise StartFailed(name, f"{self.peers[name]} does not have it; see benchmarks/README.md")
        python = versions.pop("python")
        return f"{', '.join(f'{package} {version}' for package, version in versions.items())} on Python {python}"


def describe_installation(python: str) -> str:
    """Return whether the environment of an interpreter contains Snooze as a package or as a link to a working copy."""
    code = "import snooze.service; print(snooze.service.__file__)"
    done = subprocess.run([python, "-P", "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        raise StartFailed("snooze", f"{python} cannot import it; give --python an environment that has it")
    return "snooze is an installed package" if "site-packages" in done.stdout else "snooze is an editable working copy"
