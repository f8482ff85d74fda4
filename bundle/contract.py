"""
What `bundle.json` says, as types. Reading, writing, error messages and the published JSON Schema follow from them.

The annotations are the rules (`codec.py` enforces them); a line `field: text` in a docstring is the field's description
in the schema. A field with a default is left out where it has that value. NamedTuples, because each cold start creates
these classes, and dataclasses take four times as long.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, NamedTuple

from snooze.bundle.names import FILE_NAME, HASH, MODEL_NAME, MOMENT, TENSOR_NAME

SCHEMA_VERSION: Final = 2
MAX_INTEGER: Final = 2**53 - 1  # beyond it, programs that hold JSON numbers as doubles would read another number
MAX_NUMBER: Final = 1e300
MAX_ROWS: Final = 65536


class Range(NamedTuple):
    """A rule for a number: both ends are allowed."""

    least: float
    most: float


class Length(NamedTuple):
    """A rule for a list: the fewest and the most items."""

    least: int
    most: int | None = None


Name = Annotated[str, MODEL_NAME]
FileName = Annotated[str, FILE_NAME]
TensorName = Annotated[str, TENSOR_NAME]
Hash = Annotated[str, HASH]
Moment = Annotated[str, MOMENT]
Natural = Annotated[int, Range(0, MAX_INTEGER)]
Positive = Annotated[int, Range(1, MAX_INTEGER)]
Rows = Annotated[int, Range(1, MAX_ROWS)]
NonNegative = Annotated[float, Range(0, MAX_NUMBER)]

Datatype = Literal[
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BYTES"
]
Task = Literal["classification", "regression", "clustering", "outliers", "transform"]
Role = Literal["label", "scores", "value", "embedding"]
Optimization = Literal["none", "all"]
RunIn = Literal["loop", "executor"]
JsonObject = Mapping[str, Any]


class Tensor(NamedTuple):
    """
    One input or output.

    name: the tensor's name in the graph and in requests.
    datatype: a datatype of the Open Inference Protocol.
    shape: the size of each dimension; -1 is variable.
    role: what an output means; inputs have none.
    """

    name: TensorName
    datatype: Datatype
    shape: Annotated[tuple[Annotated[int, Range(-1, MAX_INTEGER)], ...], Length(0, 8)]
    role: Role | None = None


class Source(NamedTuple):
    """
    The model that was converted.

    framework: the framework that trained it.
    framework_version: the version of the framework that read it.
    file: the file's name.
    sha256: the file's hash, 64 hexadecimal digits.
    git: the commit of the working directory.
    command: the command line of the conversion.
    """

    framework: str
    framework_version: str
    file: str | None
    sha256: str | None
    git: str | None
    command: str | None


class Batching(NamedTuple):
    """
    How requests may be joined.

    axis: the dimension of the rows, which is variable in each tensor.
    max_rows: the most rows of one run.
    """

    axis: Annotated[int, Range(0, 7)]
    max_rows: Rows


class Session(NamedTuple):
    """
    How to run the model, as measured when it was converted.

    file: the ONNX file.
    optimization: ONNX Runtime's graph optimization at load time; "none" for a file that was optimized ahead of time.
    intra_op_threads: threads of one operator.
    run_in: "loop" for a run so short that handing it to a thread costs more.
    """

    file: FileName
    optimization: Optimization
    intra_op_threads: Annotated[int, Range(1, 1024)]
    run_in: RunIn


class Tolerance(NamedTuple):
    """
    How close an output must be to its expected value: `|got - expected| <= atol + rtol * |expected|`.

    exact: equal, instead of rtol and atol.
    rtol: relative tolerance.
    atol: absolute tolerance.
    """

    exact: bool = False
    rtol: NonNegative = 0.0
    atol: NonNegative = 0.0


class Bundle(NamedTuple):
    """
    One version of one model, and the evidence for it.

    name: the model's name: a folder, part of a URL, a Kubernetes label.
    version: the version's number; a version never changes once it is written.
    created: when it was written, in UTC to the second.
    source: the model that was converted.
    inputs: what the model takes.
    outputs: what the model gives.
    task: what the model is for, if that is known.
    labels: the names of the classes, in the order of the scores.
    batching: how requests may be joined; null if never.
    adapter: what turns raw data into the inputs. There are no adapters yet.
    session: how to run the model.
    tolerance: for each output, how close it must be to the golden value on any CPU.
    evidence: what was found out about the model (`evidence.py` has the types); unknown keys are kept.
    profile: what a run costs (`evidence.py` has the types); unknown keys are kept.
    files: the SHA-256 hash of each file of the bundle.
    """

    name: Name
    version: Positive
    created: Moment
    source: Source
    inputs: Annotated[tuple[Tensor, ...], Length(1)]
    outputs: Annotated[tuple[Tensor, ...], Length(1)]
    task: Task | None
    labels: Annotated[tuple[str, ...], Length(1)] | None
    batching: Batching | None
    adapter: None
    session: Session
    tolerance: Mapping[str, Tolerance]
    evidence: JsonObject
    profile: JsonObject
    files: Mapping[FileName, Hash]
