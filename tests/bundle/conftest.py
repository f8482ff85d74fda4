"""Bundles for the tests: a small one that is written to the disk, and a strategy that draws all kinds of contracts."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from snooze.bundle.contract import (
    ADAPTERS,
    DATA,
    DATATYPE_NAMES,
    OPTIMIZATIONS,
    ROLES,
    RUN_IN,
    TASKS,
    Batching,
    Bundle,
    Evidence,
    Profile,
    Role,
    Run,
    Session,
    Source,
    Tensor,
    Tolerance,
)
from snooze.bundle.draft import Draft
from snooze.bundle.samples import Samples, write_samples

Publish = Callable[..., Path]

CONTRACT = Bundle(
    name="tumour",
    version=1,
    created="2026-11-21T01:02:03Z",
    source=Source("scikit-learn", "1.9.1", file="model.joblib", sha256="ab" * 32, git="1f3c", command="snooze convert"),
    inputs=(Tensor("features", "FP32", (-1, 3)),),
    outputs=(Tensor("label", "INT64", (-1,), "label"), Tensor("probabilities", "FP32", (-1, 2), "scores")),
    task="classification",
    labels=("malignant", "benign"),
    batching=Batching(axis=0, max_rows=64),
    session=Session(optimization="none"),
    tolerance={"label": Tolerance(exact=True), "probabilities": Tolerance(rtol=1e-4, atol=1e-5)},
    evidence=Evidence(
        data="labelled",
        parity={"rows": 100, "edge_rows": 7, "worst": 3.1e-07, "flips": 0, "outliers": 0, "verdict": "passed"},
        evaluation={"metric": "accuracy", "before": 0.9825, "after": 0.9825, "rows": 114},
        candidates=(
            {"name": "int8 dynamic", "verdict": "refused", "reason": "4 % faster, 15 % asked for", "speedup": 1.04},
        ),
        statistics={"features": {"min": [0.1, 0.2, 0.3], "max": [1.0, 2.0, 3.0]}},
        more={"surprise": {"kept": True}},
    ),
    profile=Profile(
        cpu="EPYC",
        run=(Run(1, 1.1e-05, 1e-06, 1.2e-05), Run(64, 9e-05, 2e-06, 9.1e-05)),
        memory={"session": {"peak": 61865984}, "model_bytes": 3000},
        more={"interpreter_seconds": 0.052},
    ),
    files={"model.onnx": "sha256:" + "0" * 64, "samples.npz": "sha256:" + "1" * 64},
)
SAMPLES = Samples(
    inputs={"features": np.arange(12, dtype=np.float32).reshape(4, 3)},
    outputs={"label": np.array([0, 1, 1, 0]), "probabilities": np.full((4, 2), 0.5, np.float32)},
)


@pytest.fixture(scope="session")
def contract() -> Bundle:
    """What `publish` publishes; its version and its hashes are made up."""
    return CONTRACT


@pytest.fixture(scope="session")
def samples() -> Samples:
    return SAMPLES


@pytest.fixture
def publish(tmp_path: Path) -> Publish:
    """Publish a small bundle and return its folder. `files` are written besides."""

    def publish(name: str = "tumour", files: Mapping[str, bytes] | None = None, **changes: Any) -> Path:
        with Draft(tmp_path / "models", name) as draft:
            for file, content in {"model.onnx": b"onnx", "report.html": b"<p>", **(files or {})}.items():
                (draft.folder / file).write_bytes(content)
            write_samples(draft.folder / "samples.npz", SAMPLES)
            return draft.publish(replace(CONTRACT, **changes))

    return publish


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    """Make a folder that other users may enter, which those of pytest are not."""
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
OBJECTS = st.dictionaries(TEXTS, JSON, max_size=3)
MODEL_NAMES = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9])?", fullmatch=True)
FILE_NAMES = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,30}", fullmatch=True).filter(
    lambda name: name != "bundle.json"
)
TENSOR_NAMES = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=12)
HASHES = st.binary(min_size=32, max_size=32).map(lambda digest: f"sha256:{digest.hex()}")
NUMBERS = st.floats(0, 1e300)
MOMENTS = st.datetimes().map(lambda moment: f"{moment:%Y-%m-%dT%H:%M:%SZ}".zfill(20))


def besides(*known: str) -> st.SearchStrategy[dict[str, Any]]:
    """Draw keys that the contract does not know."""
    return st.dictionaries(TEXTS.filter(lambda key: key not in known), JSON, max_size=2)


@st.composite
def _tensors(draw: st.DrawFn, outputs: bool, batching: Batching | None) -> tuple[Tensor, ...]:
    drawn = []
    for name in draw(st.lists(TENSOR_NAMES, min_size=1, max_size=3, unique=True)):
        shape = draw(st.lists(st.integers(-1, 2**53 - 1), max_size=5))
        if batching is not None:
            shape = [*(shape + [1] * batching.axis)[: batching.axis], -1, *shape[:2]]
        role: Role | None = draw(st.sampled_from((None, *ROLES))) if outputs else None
        drawn.append(Tensor(name, draw(st.sampled_from(DATATYPE_NAMES)), tuple(shape), role))
    return tuple(drawn)


@st.composite
def _bundles(draw: st.DrawFn) -> Bundle:
    batching = draw(st.none() | st.builds(Batching, axis=st.integers(0, 3), max_rows=st.integers(1, 65536)))
    outputs = draw(_tensors(outputs=True, batching=batching))
    session = draw(
        st.builds(
            Session,
            file=FILE_NAMES,
            optimization=st.sampled_from(OPTIMIZATIONS),
            intra_op_threads=st.integers(1, 1024),
            run_in=st.sampled_from(RUN_IN),
        )
    )
    limits = st.just(Tolerance(exact=True)) | st.builds(Tolerance, rtol=NUMBERS, atol=NUMBERS)
    run = st.builds(
        Run,
        rows=st.integers(1, 65536),
        seconds=NUMBERS,
        spread=NUMBERS,
        cpu_seconds=NUMBERS,
        more=besides("rows", "seconds", "spread", "cpu_seconds"),
    )
    return Bundle(
        name=draw(MODEL_NAMES),
        version=draw(st.integers(1, 2**53 - 1)),
        created=draw(MOMENTS),
        source=Source(*draw(st.tuples(TEXTS, TEXTS)), *draw(st.tuples(*[st.none() | TEXTS] * 4))),
        inputs=draw(_tensors(outputs=False, batching=batching)),
        outputs=outputs,
        session=session,
        tolerance={tensor.name: draw(limits) for tensor in outputs},
        evidence=draw(
            st.builds(
                Evidence,
                data=st.sampled_from(DATA),
                parity=OBJECTS,
                evaluation=OBJECTS,
                candidates=st.lists(OBJECTS, max_size=2).map(tuple),
                chosen=TEXTS,
                statistics=OBJECTS,
                more=besides("data", "parity", "evaluation", "candidates", "chosen", "statistics"),
            )
        ),
        profile=draw(
            st.builds(
                Profile,
                cpu=TEXTS,
                run=st.lists(run, max_size=2).map(tuple),
                memory=OBJECTS,
                more=besides("cpu", "run", "memory"),
            )
        ),
        files={
            **draw(st.dictionaries(FILE_NAMES, HASHES, max_size=2)),
            session.file: draw(HASHES),
            "samples.npz": draw(HASHES),
        },
        task=draw(st.sampled_from((None, *TASKS))),
        labels=draw(_labels(outputs)),
        batching=batching,
        adapter=draw(
            st.none() | st.builds(lambda kind, rest: {**rest, "kind": kind}, st.sampled_from(ADAPTERS), OBJECTS)
        ),
    )


def _labels(outputs: tuple[Tensor, ...]) -> st.SearchStrategy[tuple[str, ...] | None]:
    """Draw labels that go with the scores."""
    widths = [tensor.shape[-1] for tensor in outputs if tensor.role == "scores" and tensor.shape]
    free = not widths or -1 in widths
    counts = [count for count in (1, 2, 3) if free or count in widths or (count == 2 and 1 in widths)]
    lists = (st.lists(TEXTS, min_size=count, max_size=count, unique=True) for count in counts)
    return st.one_of(st.none(), *(texts.map(tuple) for texts in lists))


@pytest.fixture(scope="session")
def bundles() -> st.SearchStrategy[Bundle]:
    """Draw contracts of all kinds."""
    return _bundles()
