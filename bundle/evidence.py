"""
The types of `evidence` and `profile` in `bundle.json`: what was measured when a model was converted.

Only tools read them, so the server leaves them as plain JSON. Keys that these types do not know are ignored here and
kept in the bundle. A line `field: text` in a docstring is the field's description in the JSON Schema.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from snooze.bundle.codec import read
from snooze.bundle.contract import Bundle, Natural, NonNegative, Optimization, Rows, Tolerance

Data = Literal["given", "labelled", "synthetic"]
Prefer = Literal["speed", "start", "size"]


class Differences(NamedTuple):
    """
    A model's outputs compared with the expected ones.

    rows: rows that were compared.
    worst: the largest absolute difference of a number.
    outliers: rows with a difference beyond the tolerance.
    flips: rows whose most likely class differs.
    near_ties: rows whose class differs where the original itself hardly decides.
    """

    rows: Natural
    worst: NonNegative
    outliers: Natural
    flips: Natural
    near_ties: Natural


class FailedAttempt(NamedTuple):
    """
    A way to convert that was tried before the one that agreed.

    attempt: the way to convert.
    problem: what was wrong with its result.
    """

    attempt: str
    problem: str


class Parity(NamedTuple):
    """
    How the converted model compares with the original.

    attempt: the way to convert.
    verdict: whether it agrees within the tolerance.
    kind: "trees" err by nothing or by a whole leaf, so a few rows may differ; "smooth" models agree on every row.
    data: the comparison on the data.
    edges: the comparison on rows where conversions go wrong.
    edges_refused: kinds of such rows that the original refuses.
    missing: the comparison on rows with missing values, which does not decide.
    tolerance: for each output, how close it must be to the original.
    failed: the attempts before.
    served: the comparison of what is served, where that is quantized.
    """

    attempt: str
    verdict: Literal["agrees", "refused"]
    kind: Literal["trees", "smooth"]
    data: Differences
    edges: Differences | None
    edges_refused: tuple[str, ...]
    missing: Literal["agrees", "differs", "refused"]
    tolerance: Mapping[str, Tolerance]
    failed: tuple[FailedAttempt, ...] = ()
    served: Differences | None = None


class Evaluation(NamedTuple):
    """
    The score on rows by which nothing was chosen.

    metric: how the score is calculated.
    before: the original's score.
    after: the served model's score.
    rows: rows of the data.
    """

    metric: Literal["accuracy", "R²"]
    before: float
    after: float
    rows: Natural


class Losses(NamedTuple):
    """
    What a candidate loses against the unquantized model.

    rows: rows that were compared.
    score: the candidate's score, if there are labels.
    drop: points of the score lost: hundredths of accuracy or R².
    flips: percent of rows whose class changes.
    right_to_wrong: rows whose class was right before and is wrong after.
    wrong_to_right: rows whose class was wrong before and is right after.
    """

    rows: Natural
    score: float | None = None
    drop: float | None = None
    flips: NonNegative | None = None
    right_to_wrong: Natural | None = None
    wrong_to_right: Natural | None = None


class Candidate(NamedTuple):
    """
    A version of the model that could be served.

    name: fp32, or the quantization.
    verdict: "passed" means every check, but another candidate is better.
    reason: why.
    bytes: the size of the ONNX file.
    seconds: wall time of a run.
    speedup: how many times as fast as fp32.
    selection: its losses on the rows that decide.
    report: its losses on rows that do not decide.
    """

    name: str
    verdict: Literal["chosen", "passed", "refused"]
    reason: str
    bytes: Natural | None = None
    seconds: NonNegative | None = None
    speedup: NonNegative | None = None
    selection: Losses | None = None
    report: Losses | None = None


class Variant(NamedTuple):
    """
    A form of the chosen candidate's file.

    name: how the file was written.
    optimization: ONNX Runtime's graph optimization at load time.
    agrees: whether its outputs are right.
    chosen: whether this form is served.
    bytes: the size of its files.
    start_seconds: wall time to load it and run it once.
    run_seconds: wall time of a run.
    """

    name: str
    optimization: Optimization
    agrees: bool
    chosen: bool
    bytes: Natural | None = None
    start_seconds: NonNegative | None = None
    run_seconds: NonNegative | None = None


class Column(NamedTuple):
    """
    The values of one column, or of a whole input.

    name: the column's name or number.
    min: the smallest finite value.
    max: the largest finite value.
    mean: the mean of the finite values.
    std: their standard deviation.
    missing: the share of values that are not finite.
    """

    name: str
    min: float | None
    max: float | None
    mean: float | None
    std: float | None
    missing: NonNegative


class InputStatistics(NamedTuple):
    """
    The data of one input.

    rows: rows of the data.
    columns: the columns of a matrix; one entry for any other array.
    """

    rows: Natural
    columns: tuple[Column, ...]


class QuantizationLimits(NamedTuple):
    """
    What is demanded of a quantized candidate.

    max_drop: the most points of the score that it may lose.
    max_flips: the most percent of rows whose class may change.
    prefer: what decides between candidates.
    rows: rows of a usual request.
    min_gain: how many times as fast as fp32 it must be.
    """

    max_drop: NonNegative
    max_flips: NonNegative
    prefer: Prefer
    rows: Rows
    min_gain: NonNegative


class Evidence(NamedTuple):
    """
    What was found out about a model.

    data: real rows without labels, real rows with labels, or rows drawn from the signature.
    parity: the comparison with the original.
    evaluation: the score, if there are labels.
    candidates: every version of the model that was tried.
    chosen: the name of the candidate that is served.
    statistics: the data of each input.
    limits: what was demanded of a quantized candidate.
    notes: warnings for the user.
    variants: the forms of the chosen candidate that were measured.
    """

    data: Data
    parity: Parity
    evaluation: Evaluation | None
    candidates: tuple[Candidate, ...]
    chosen: str
    statistics: Mapping[str, InputStatistics]
    limits: QuantizationLimits
    notes: tuple[str, ...]
    variants: tuple[Variant, ...]


class Run(NamedTuple):
    """
    One `session.run`.

    rows: rows of the run.
    seconds: wall time, the median.
    spread: the middle half of all runs lies within it.
    cpu_seconds: CPU time of all threads.
    """

    rows: Rows
    seconds: NonNegative
    spread: NonNegative
    cpu_seconds: NonNegative


class Memory(NamedTuple):
    """
    Memory of a process, in bytes.

    anonymous: without mapped files.
    resident: with mapped files.
    peak: the highest resident memory so far.
    """

    anonymous: Natural
    resident: Natural
    peak: Natural


class MemorySteps(NamedTuple):
    """
    Memory of a fresh process after each step.

    interpreter: Python has started.
    imported: numpy and onnxruntime are imported.
    session: the model is loaded.
    one_row: one row was run.
    runs: the most rows were run.
    """

    interpreter: Memory
    imported: Memory
    session: Memory
    one_row: Memory
    runs: Memory


class Profile(NamedTuple):
    """
    What running a model costs on one CPU.

    cpu: the name of the CPU.
    run: one entry for each number of rows.
    memory: the memory of a fresh process.
    model_bytes: the size of the model's files.
    interpreter_seconds: CPU seconds of a fixed piece of Python, which compares machines.
    session_seconds: wall time to load the model.
    session_cpu_seconds: CPU time to load the model.
    """

    cpu: str
    run: tuple[Run, ...]
    memory: MemorySteps
    model_bytes: Natural
    interpreter_seconds: NonNegative
    session_seconds: NonNegative
    session_cpu_seconds: NonNegative


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
