"""
The types of `evidence` and `profile` in `bundle.json`: what was measured when a model was converted.

Only tools read them, so the server leaves them as plain JSON. Keys that these types do not know are ignored here and
kept in the bundle. The comment behind a field is its description in the JSON Schema.
"""

from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple

from snooze.bundle.codec import read
from snooze.bundle.contract import Bundle, Length, Natural, NonNegative, Optimization, Rows, Tolerance

Data = Literal["given", "labelled", "synthetic"]
Samples = Literal["given", "drawn"]
Prefer = Literal["speed", "start", "size"]


class Differences(NamedTuple):
    """A model's outputs compared with the expected ones."""

    rows: Natural  # rows that were compared
    worst: NonNegative  # the largest absolute difference of a number
    outliers: Natural  # rows with a difference beyond the tolerance
    flips: Natural  # rows whose most likely class differs
    near_ties: Natural  # rows whose class differs where the original itself hardly decides


class FailedAttempt(NamedTuple):
    """A way to convert that was tried before the one that agreed."""

    attempt: str  # the way to convert
    problem: str  # what was wrong with its result
    differences: Differences | None = None  # the comparison that failed, if the graph could be compared


class Parity(NamedTuple):
    """How the converted model compares with the original."""

    attempt: str  # the way to convert
    verdict: Literal["agrees", "refused"]  # whether it agrees within the tolerance
    kind: Literal["trees", "smooth"]  # of trees, a few rows may differ, for they err by whole leaves
    data: Differences  # the comparison on the data
    edges: Differences | None  # the comparison on rows where conversions go wrong
    edges_refused: tuple[str, ...]  # kinds of such rows that the original refuses
    missing: Literal["agrees", "differs", "refused"]  # rows with missing values, which do not decide
    tolerance: Mapping[str, Tolerance]  # for each output, how close it must be to the original
    failed: tuple[FailedAttempt, ...] = ()  # the attempts before
    served: Differences | None = None  # the comparison of what is served, where that is quantized
    reference: str = "the model in its framework"  # what gave the expected answers


class AdapterParity(NamedTuple):
    """How raw rows through adapter and graph compare with raw rows through the original's own preprocessing."""

    reference: str  # what gave the expected answers
    data: Differences  # the comparison on the data


class Evaluation(NamedTuple):
    """The score on rows by which nothing was chosen."""

    metric: Literal["accuracy", "R²"]  # how the score is calculated
    before: float  # the original's score
    after: float  # the served model's score
    rows: Natural  # rows of the data


class Losses(NamedTuple):
    """What a candidate loses against the unquantized model."""

    rows: Natural  # rows that were compared
    score: float | None = None  # the candidate's score, if there are labels
    drop: float | None = None  # points of the score lost: hundredths of accuracy or R²
    flips: NonNegative | None = None  # percent of rows whose class changes
    right_to_wrong: Natural | None = None  # rows whose class was right before and is wrong after
    wrong_to_right: Natural | None = None  # rows whose class was wrong before and is right after


class Candidate(NamedTuple):
    """A version of the model that could be served."""

    name: str  # fp32, or the quantization
    verdict: Literal["chosen", "passed", "refused"]  # "passed" means every check, but another candidate is better
    reason: str  # why
    bytes: Natural | None = None  # the size of the ONNX file
    seconds: NonNegative | None = None  # wall time of a run
    speedup: NonNegative | None = None  # how many times as fast as fp32
    selection: Losses | None = None  # its losses on the rows that decide
    report: Losses | None = None  # its losses on rows that do not decide


class Variant(NamedTuple):
    """A form of the chosen candidate's file."""

    name: str  # how the file was written
    optimization: Optimization  # ONNX Runtime's graph optimization at load time
    agrees: bool  # whether its outputs are right
    chosen: bool  # whether this form is served
    bytes: Natural | None = None  # the size of its files
    start_seconds: NonNegative | None = None  # wall time to load it and run it once
    run_seconds: NonNegative | None = None  # wall time of a run


class Column(NamedTuple):
    """The values of one column, or of a whole input."""

    name: str  # the column's name or number
    min: float | None  # the smallest finite value
    max: float | None  # the largest finite value
    mean: float | None  # the mean of the finite values
    std: float | None  # their standard deviation
    missing: NonNegative  # the share of values that are not finite


class InputStatistics(NamedTuple):
    """The data of one input."""

    rows: Natural  # rows of the data
    columns: tuple[Column, ...]  # the columns of a matrix; one entry for any other array


class QuantizationLimits(NamedTuple):
    """What is demanded of a quantized candidate."""

    max_drop: NonNegative  # the most points of the score that it may lose
    max_flips: NonNegative  # the most percent of rows whose class may change
    prefer: Prefer  # what decides between candidates
    rows: Rows  # rows of a usual request
    min_gain: NonNegative  # how many times as fast as fp32 it must be


class Evidence(NamedTuple):
    """What was found out about a model."""

    data: Data  # real rows without labels, real rows with labels, or rows drawn from the signature
    parity: Parity  # the comparison with the original
    evaluation: Evaluation | None  # the score, if there are labels
    candidates: tuple[Candidate, ...]  # every version of the model that was tried
    chosen: str  # the name of the candidate that is served
    statistics: Mapping[str, InputStatistics]  # the data of each input
    limits: QuantizationLimits  # what was demanded of a quantized candidate
    notes: tuple[str, ...]  # warnings for the user
    variants: tuple[Variant, ...]  # the forms of the chosen candidate that were measured
    adapter: AdapterParity | None = None  # the comparison from raw rows on, if there is an adapter and real rows
    samples: Samples = "given"  # whether the golden samples are real rows, or drawn from the signature


class Run(NamedTuple):
    """One `session.run`."""

    rows: Rows  # rows of the run
    seconds: NonNegative  # wall time, the median
    spread: NonNegative  # the middle half of all runs lies within it
    cpu_seconds: NonNegative  # CPU time of all threads


class Memory(NamedTuple):
    """Memory of a process, in bytes."""

    anonymous: Natural  # without mapped files
    resident: Natural  # with mapped files
    peak: Natural  # the highest resident memory so far


class MemorySteps(NamedTuple):
    """Memory of a fresh process after each step."""

    interpreter: Memory  # Python has started
    imported: Memory  # numpy and onnxruntime are imported
    session: Memory  # the model is loaded
    one_row: Memory  # one row was run
    runs: Memory  # the most rows were run


class Profile(NamedTuple):
    """What running a model costs on one CPU."""

    cpu: str  # the name of the CPU
    run: Annotated[tuple[Run, ...], Length(1)]  # one entry for each number of rows
    memory: MemorySteps  # the memory of a fresh process
    model_bytes: Natural  # the size of the model's files
    interpreter_seconds: NonNegative  # CPU seconds of a fixed piece of Python, which compares machines
    session_seconds: NonNegative  # wall time to load the model
    session_cpu_seconds: NonNegative  # CPU time to load the model


def read_evidence(bundle: Bundle) -> Evidence:
    """
    Return the evidence of a bundle.

    Raises:
        InvalidContract: names the field that is missing or has another type.
    """
    return read(Evidence, bundle.evidence, "evidence", closed=False)


def read_profile(bundle: Bundle) -> Profile:
    """
    Return the profile of a bundle.

    Raises:
        InvalidContract: names the field that is missing or has another type.
    """
    return read(Profile, bundle.profile, "profile", closed=False)
