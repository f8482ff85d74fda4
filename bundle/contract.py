"""
What `bundle.json` says, as frozen dataclasses. `schema.json` beside this module says the same to other programs.

Unknown keys inside `evidence` and `profile` are kept in `more`; elsewhere they are refused (`codec.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

SCHEMA_VERSION: Final = 1

Task = Literal["classification", "regression", "clustering", "outliers", "transform"]
Role = Literal["label", "scores", "value", "embedding"]
Data = Literal["given", "labelled", "synthetic"]
Optimization = Literal["none", "all"]
RunIn = Literal["loop", "executor"]

DATATYPE_NAMES: Final = (  # those of the Open Inference Protocol; `datatypes.py` has numpy's names for them
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BYTES",
)  # fmt: skip
TASKS: Final = ("classification", "regression", "clustering", "outliers", "transform")
ROLES: Final = ("label", "scores", "value", "embedding")
DATA: Final = ("given", "labelled", "synthetic")
OPTIMIZATIONS: Final = ("none", "all")
RUN_IN: Final = ("loop", "executor")
ADAPTERS: Final = ("image", "text", "table")


@dataclass(frozen=True, slots=True)
class Tensor:
    """One input or output: an Open Inference datatype and a shape in which -1 is a variable dimension."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    role: Role | None = None  # outputs only


@dataclass(frozen=True, slots=True)
class Source:
    """Where the model came from."""

    framework: str
    framework_version: str
    file: str | None = None
    sha256: str | None = None
    git: str | None = None
    command: str | None = None


@dataclass(frozen=True, slots=True)
class Batching:
    """Requests may be joined along `axis`, up to `max_rows` rows."""

    axis: int
    max_rows: int


@dataclass(frozen=True, slots=True)
class Session:
    """
    How to run the model, as measured when it was converted.

    `optimization` is ONNX Runtime's graph optimization when the file is loaded: "none" for a file that was
    optimized ahead of time. `run_in` is "loop" for a run so short that handing it to a thread costs more.
    """

    file: str = "model.onnx"
    optimization: Optimization = "all"
    intra_op_threads: int = 1
    run_in: RunIn = "loop"


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How near an output must come to its golden value: `|got - golden| <= atol + rtol * |golden|`, or equal."""

    exact: bool = False
    rtol: float = 0.0
    atol: float = 0.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was found out about the model, and on what data."""

    data: Data
    parity: Mapping[str, Any] = field(default_factory=dict)
    evaluation: Mapping[str, Any] = field(default_factory=dict)
    candidates: tuple[Mapping[str, Any], ...] = ()
    chosen: str = "fp32"
    statistics: Mapping[str, Any] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """One `session.run` of `rows` rows: wall seconds (median), their spread, and CPU seconds."""

    rows: int
    seconds: float
    spread: float
    cpu_seconds: float
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Profile:
    """What running the model costs on the named CPU. Memory is in bytes."""

    cpu: str
    run: tuple[Run, ...] = ()
    memory: Mapping[str, Any] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bundle:
    """The whole contract of one version of one model."""

    name: str
    version: int
    created: str
    source: Source
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    session: Session
    tolerance: Mapping[str, Tolerance]
    evidence: Evidence
    profile: Profile
    files: Mapping[str, str]
    task: Task | None = None
    labels: tuple[str, ...] | None = None
    batching: Batching | None = None
    adapter: Mapping[str, Any] | None = None
