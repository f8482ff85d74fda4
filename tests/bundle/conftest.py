"""Bundles for the tests: a small one that is written to the disk, and a strategy that draws all kinds of contracts."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import numpy as np
import pytest
from hypothesis import strategies as st

from snooze.bundle.codec import document
from snooze.bundle.contract import (
    MAX_INTEGER,
    Batching,
    Bundle,
    FileName,
    Hash,
    JsonObject,
    Length,
    Moment,
    Name,
    Positive,
    Session,
    Source,
    Task,
    Tensor,
    TensorName,
    Tolerance,
)
from snooze.bundle.draft import Draft
from snooze.bundle.evidence import (
    Candidate,
    Column,
    Differences,
    Evaluation,
    Evidence,
    FailedAttempt,
    InputStatistics,
    Losses,
    Memory,
    MemorySteps,
    Parity,
    Profile,
    QuantizationLimits,
    Run,
    Variant,
)
from snooze.bundle.names import Text
from snooze.bundle.samples import Sample, write_samples

Publish = Callable[..., Path]

EVIDENCE = Evidence(
    data="labelled",
    parity=Parity(
        attempt="single precision",
        verdict="agrees",
        kind="smooth",
        data=Differences(100, 3.1e-07, 0, 0, 0),
        edges=Differences(7, 1e-06, 0, 0, 1),
        edges_refused=("infinite",),
        missing="refused",
        tolerance={"label": Tolerance(exact=True), "probabilities": Tolerance(rtol=1e-4, atol=1e-5)},
        failed=(FailedAttempt("half precision", "3 labels changed"),),
    ),
    evaluation=Evaluation("accuracy", 0.9825, 0.9812, 114),
    candidates=(
        Candidate("fp32", "chosen", "the converted model", bytes=3000),
        Candidate("int8", "refused", "it is too slow", 1000, 9e-06, 1.04, Losses(50, 0.97, 1.2, 2.0, 2, 1)),
    ),
    chosen="fp32",
    statistics={"features": InputStatistics(100, (Column("radius", 0.1, 1.0, 0.5, 0.2, 0.0),))},
    limits=QuantizationLimits(0.5, 2.0, "speed", 1, 1.15),
    notes=("saved by another version",),
    variants=(Variant("as converted", "none", True, True, 3000, 0.002, 9e-06),),
)
PROFILE = Profile(
    cpu="EPYC",
    run=(Run(1, 1.1e-05, 1e-06, 1.2e-05), Run(64, 9e-05, 2e-06, 9.1e-05)),
    memory=MemorySteps(*(Memory(2**20 * step, 2**21 * step, 2**22 * step) for step in range(1, 6))),
    model_bytes=3000,
    interpreter_seconds=0.052,
    session_seconds=0.002,
    session_cpu_seconds=0.002,
)
CONTRACT = Bundle(
    name="tumour",
    version=1,
    created="2026-11-21T01:02:03Z",
    source=Source("scikit-learn", "1.9.1", "model.joblib", "ab" * 32, "1f3c", "snooze convert"),
    inputs=(Tensor("features", "FP32", (-1, 3)),),
    outputs=(Tensor("label", "INT64", (-1,), "label"), Tensor("probabilities", "FP32", (-1, 2), "scores")),
    task="classification",
    labels=("malignant", "benign"),
    batching=Batching(axis=0, max_rows=64),
    adapter=None,
    session=Session("model.onnx", "none", 1, "loop"),
    tolerance=EVIDENCE.parity.tolerance,
    evidence={**document(EVIDENCE), "surprise": {"kept": True}},
    profile=document(PROFILE),
    files={"model.onnx": "sha256:" + "0" * 64, "samples.npz": "sha256:" + "1" * 64},
)
SAMPLES = (
    Sample(
        inputs={"features": np.arange(12, dtype=np.float32).reshape(4, 3)},
        outputs={"label": np.array([0, 1, 1, 0]), "probabilities": np.full((4, 2), 0.5, np.float32)},
    ),
)


@pytest.fixture(scope="session")
def contract() -> Bundle:
    """The contract that `publish` writes; its version and its hashes are examples."""
    return CONTRACT


@pytest.fixture(scope="session")
def samples() -> tuple[Sample, ...]:
    return SAMPLES


@pytest.fixture
def publish(tmp_path: Path) -> Publish:
    """Publish a small bundle, with `files` added, and return its folder."""

    def publish(name: str = "tumour", files: Mapping[str, bytes] | None = None, **changes: Any) -> Path:
        with Draft(tmp_path / "models", name) as draft:
            for file, content in {"model.onnx": b"onnx", "report.html": b"<p>", **(files or {})}.items():
                (draft.folder / file).write_bytes(content)
            write_samples(draft.folder / "samples.npz", SAMPLES)
            return draft.publish(CONTRACT._replace(**changes))

    return publish


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    """Create a folder that other users may enter; pytest's own folders are private."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def unprivileged() -> Callable[[], Any]:
    """Return a context in which files are accessed as the user of the image, where this user may become another."""

    @contextmanager
    def become() -> Iterator[None]:
        if os.geteuid() != 0:
            yield
            return
        os.setegid(65532)
        os.seteuid(65532)
        try:
            yield
        finally:
            os.seteuid(0)
            os.setegid(0)

    return become


TEXTS = st.text(max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
MOMENTS = st.datetimes().map(lambda moment: f"{moment:%Y-%m-%dT%H:%M:%SZ}".zfill(20))
SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXTS,
    int: st.integers(-MAX_INTEGER, MAX_INTEGER),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    NoneType: st.none(),
}


@cache
def drawn(annotation: Any) -> st.SearchStrategy[Any]:
    """Return a strategy for a type of the contract, from its annotations."""
    if annotation == Moment:
        return MOMENTS
    if hasattr(annotation, "_fields"):
        return st.builds(annotation, **{name: drawn(annotation.__annotations__[name]) for name in annotation._fields})
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _ruled(*arguments[:2])
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (Union, UnionType):
        return st.one_of(*map(drawn, arguments))
    if origin is tuple:
        return st.lists(drawn(arguments[0]), max_size=2).map(tuple)
    if annotation == JsonObject:
        return st.dictionaries(TEXTS, JSON, max_size=3)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return st.dictionaries(drawn(arguments[0]), drawn(arguments[1]), max_size=2)
    return SCALARS[annotation]


def _ruled(inner: Any, rule: Any) -> st.SearchStrategy[Any]:
    if isinstance(rule, Text):
        pattern = rule.pattern.replace("{0,199}", "{0,20}").replace("{1,500}", "{1,12}")
        return st.from_regex(pattern.removesuffix("$") + r"\Z").filter(lambda text: "\ud800" not in ascii(text))
    if isinstance(rule, Length):
        return st.lists(drawn(get_args(inner)[0]), min_size=rule.least, max_size=rule.most or 3).map(tuple)
    if inner is int:
        return st.integers(int(rule.least), int(rule.most))
    return st.floats(rule.least, rule.most)


@st.composite
def _tensors(draw: st.DrawFn, outputs: bool, batching: Batching | None) -> tuple[Tensor, ...]:
    tensors = []
    for name in draw(NAMES):
        tensor = draw(drawn(Tensor))._replace(name=name)
        if batching is not None:
            shape = [*(list(tensor.shape) + [1] * batching.axis)[: batching.axis], -1]
            tensor = tensor._replace(shape=tuple(shape[:8]))
        tensors.append(tensor if outputs else tensor._replace(role=None))
    return tuple(tensors)


LIMITS = st.just(Tolerance(exact=True)) | drawn(Tolerance).map(lambda limit: limit._replace(exact=False, columns=()))
HASHED_FILES = st.dictionaries(drawn(FileName), drawn(Hash), max_size=2)
NAMES = st.lists(drawn(TensorName), min_size=1, max_size=3, unique=True)


@st.composite
def _bundles(draw: st.DrawFn) -> Bundle:
    batching = draw(drawn(Batching | None))
    outputs = draw(_tensors(outputs=True, batching=batching))
    session = draw(drawn(Session))
    return Bundle(
        name=draw(drawn(Name)),
        version=draw(drawn(Positive)),
        created=draw(MOMENTS),
        source=draw(drawn(Source)),
        inputs=draw(_tensors(outputs=False, batching=batching)),
        outputs=outputs,
        task=draw(drawn(Task | None)),
        labels=draw(_labels(outputs)),
        batching=batching,
        adapter=None,
        session=session,
        tolerance={tensor.name: draw(LIMITS) for tensor in outputs},
        evidence=document(draw(drawn(Evidence))) | draw(_unknown(Evidence)),
        profile=document(draw(drawn(Profile))) | draw(_unknown(Profile)),
        files={
            **draw(HASHED_FILES),
            session.file: draw(drawn(Hash)),
            "samples.npz": draw(drawn(Hash)),
        },
    )


@cache
def _unknown(kind: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Draw keys that the contract does not know."""
    return st.dictionaries(TEXTS.filter(lambda key: key not in kind._fields), JSON, max_size=2)


def _labels(outputs: tuple[Tensor, ...]) -> st.SearchStrategy[tuple[str, ...] | None]:
    """Draw labels that fit the scores."""
    widths = [tensor.shape[-1] for tensor in outputs if tensor.role == "scores" and tensor.shape]
    free = not widths or -1 in widths
    counts = [count for count in (1, 2, 3) if free or count in widths or (count == 2 and 1 in widths)]
    lists = (st.lists(TEXTS, min_size=count, max_size=count, unique=True) for count in counts)
    return st.one_of(st.none(), *(texts.map(tuple) for texts in lists))


@pytest.fixture(scope="session")
def bundles() -> st.SearchStrategy[Bundle]:
    """Draw contracts of all kinds."""
    return _bundles()
