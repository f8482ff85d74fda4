"""
What `bundle.json` says, as types. Reading, writing, error messages and the published JSON Schema follow from them.

The annotations are the rules (`codec.py` enforces them), and the comment behind a field is its description in the
schema. A field with a default is left out where it has that value. NamedTuples, because each cold start creates these
classes, and dataclasses take four times as long.
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
Size = Annotated[int, Range(-1, MAX_INTEGER)]
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
    """One input or output."""

    name: TensorName  # the tensor's name in the graph and in requests
    datatype: Datatype  # a datatype of the Open Inference Protocol
    shape: Annotated[tuple[Size, ...], Length(0, 8)]  # the size of each dimension; -1 is variable
    role: Role | None = None  # what an output means; inputs have none


class Source(NamedTuple):
    """The model that was converted."""

    framework: str  # the framework that trained it
    framework_version: str  # the version of the framework that read it
    file: str | None  # the file's name
    sha256: str | None  # the file's hash, 64 hexadecimal digits
    git: str | None  # the commit of the working directory
    command: str | None  # the command line of the conversion


class Batching(NamedTuple):
    """How requests may be joined."""

    axis: Annotated[int, Range(0, 7)]  # the dimension of the rows, which is variable in each tensor
    max_rows: Rows  # the most rows of one run


class Session(NamedTuple):
    """How to run the model, as measured when it was converted."""

    file: FileName  # the ONNX file
    optimization: Optimization  # at load time; "none" if the file was optimized ahead of time
    intra_op_threads: Annotated[int, Range(1, 1024)]  # threads of one operator
    run_in: RunIn  # "loop" for a run so short that handing it to a thread costs more


class Tolerance(NamedTuple):
    """How close an output must be to its expected value: `|got - expected| <= atol + rtol * |expected|`."""

    exact: bool = False  # equal, instead of rtol and atol
    rtol: NonNegative = 0.0  # relative tolerance
    atol: NonNegative = 0.0  # absolute tolerance
    columns: tuple[NonNegative, ...] = ()  # instead of atol, one for each column, which is the last dimension


class Bundle(NamedTuple):
    """One version of one model, and the evidence for it."""

    name: Name  # the model's name: a folder, part of a URL, a Kubernetes label
    version: Positive  # the version's number; a version never changes once it is written
    created: Moment  # when it was written, in UTC to the second
    source: Source  # the model that was converted
    inputs: Annotated[tuple[Tensor, ...], Length(1)]  # what the model takes
    outputs: Annotated[tuple[Tensor, ...], Length(1)]  # what the model gives
    task: Task | None  # what the model is for, if that is known
    labels: Annotated[tuple[str, ...], Length(1)] | None  # the classes, in the order of the scores; or names of values
    batching: Batching | None  # how requests may be joined; null if never
    adapter: JsonObject | None  # what turns raw data into the inputs (`adapters/` has the types), or null
    session: Session  # how to run the model
    tolerance: Mapping[str, Tolerance]  # for each output, how close it must be to the golden value on any CPU
    evidence: JsonObject  # what was found out about the model (`evidence.py` has the types); unknown keys are kept
    profile: JsonObject  # what a run costs (`evidence.py` has the types); unknown keys are kept
    files: Mapping[FileName, Hash]  # the SHA-256 hash of each file of the bundle
