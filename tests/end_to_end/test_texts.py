"""Sentences to answers, for every way in which a model takes texts: each is what the model itself says."""

import csv
import json
import random
from collections.abc import Callable
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper, save
from tests.bundle.adapters.conftest import TOPICS, make_tokenizer
from tests.end_to_end.pages import PAGES, python_blocks, section
from tests.end_to_end.servers import DATA, serve

from snooze.bundle.adapters.cleaning import Cleaning, cleaner
from snooze.bundle.codec import document
from snooze.bundle.errors import InvalidOption
from snooze.bundle.evidence import read_evidence
from snooze.bundle.samples import read_samples
from snooze.bundle.store import read
from snooze.convert import convert
from snooze.convert.quiet import quiet
from snooze.service.runtime.model import Model, load

pytestmark = [pytest.mark.process, pytest.mark.framework]

RTOL, ATOL = 1e-4, 1e-5
TREC = DATA / "trec_qc"
INPUTS = ("input_ids", "attention_mask", "token_type_ids")

Sentences = tuple[list[str], list[str]]
Write = Callable[..., Path]


def read_trec() -> Sentences:
    """Return questions and what they ask for."""
    if not TREC.is_dir():
        pytest.skip(f"needs the data of TREC, which must not be republished, in {TREC} (SNOOZE_DATA)")
    lines = [line for file in sorted(TREC.glob("*.label")) for line in file.read_text("iso-8859-1").splitlines()]
    return [line.partition(" ")[2] for line in lines], [line.partition(":")[0] for line in lines]


def read_python() -> Sentences:
    """Return lines of Python's own help in any order, and the topics that they come from."""
    long = [topic for topic in TOPICS if len(topics[topic].splitlines()) > 100]
    rows = [(line.strip(), topic) for topic in long for line in topics[topic].splitlines() if len(line.split()) > 3]
    random.Random(7).shuffle(rows)
    return [text for text, _ in rows], [topic for _, topic in rows]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write texts, and labels if there are any, as rows of a file."""

    def write(texts: list[str], labels: list[str] | None = None, suffix: str = ".csv") -> Path:
        path = tmp_path / f"texts{suffix}"
        rows = [
            {"text": text} | ({} if labels is None else {"topic": labels[number]}) for number, text in enumerate(texts)
        ]
        with path.open("w", newline="", encoding="utf-8") as file:
            if suffix == ".csv":
                writer = csv.DictWriter(file, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
            else:
                file.writelines(json.dumps(row) + "\n" for row in rows)
        return path

    return write


def start(folder: Path) -> Model:
    """Return a model as a server has it when it is ready: with an adapter that has made its golden inputs."""
    model = load(folder, read(folder), 1)
    samples = model.samples()
    model.load_adapter(samples)
    model.prove(samples)
    return model


def ask(model: Model, texts: list[str]) -> NDArray[Any]:
    """Return the last output of a model for texts."""
    assert model.adapter is not None
    return model.run(model.output_names, model.adapter.apply(texts))[-1]


def train(texts: list[str], labels: list[str]) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    vectorizer = TfidfVectorizer(ngram_range=(1, 2))
    return make_pipeline(vectorizer, LogisticRegression(C=10, max_iter=1000)).fit(texts, labels)


@pytest.mark.parametrize("corpus", [read_python, read_trec])
@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_pipeline_answers_sentences(corpus: Any, suffix: str, write: Write, tmp_path: Path) -> None:
    texts, labels = corpus()
    pipeline = train(texts[:-200], labels[:-200])
    file = write(texts[-200:], labels[-200:], suffix)

    converted = convert(pipeline, name="topic", target=tmp_path / "models", data=file, label="topic")

    parity = read_evidence(converted.bundle).adapter
    assert converted.bundle.adapter == {"kind": "text", "input": "text"}
    assert parity is not None
    assert (parity.reference, parity.data.rows) == ("the model on the raw rows", 200)
    with serve(tmp_path / "models") as server:
        answers = [
            one for at in range(0, 500, 50) for one in server.post("/predict", texts[at : at + 50])["predictions"]
        ]
    assert [one["label"] for one in answers] == pipeline.predict(texts[:500]).tolist()
    found = [[one["probabilities"][name] for name in pipeline.classes_] for one in answers]
    np.testing.assert_allclose(found, pipeline.predict_proba(texts[:500]), RTOL, ATOL)


def test_a_pipeline_that_was_trained_on_clean_texts_takes_them_as_they_are(write: Write, tmp_path: Path) -> None:
    texts, labels = read_python()
    rules = Cleaning(unicode="NFKC", contractions=True, numbers="0", punctuation="space", case="lower", whitespace=True)
    clean = cleaner(rules)
    pipeline = train([clean(text) for text in texts[:-200]], labels[:-200])
    declared = tmp_path / "adapter.json"
    declared.write_text(json.dumps({"kind": "text", "input": "text", "cleaning": document(rules)}))

    target, file = tmp_path / "models", write(texts[-200:], labels[-200:])
    converted = convert(pipeline, name="topic", target=target, data=file, label="topic", adapter=declared)

    model = start(converted.folder)
    assert converted.bundle.adapter == {"kind": "text", "input": "text", "cleaning": document(rules)}
    assert model.adapter is not None
    assert model.adapter.input is not None
    assert model.adapter.input.name == "raw_text"
    raw = [sample.raw for sample in read_samples(converted.folder, converted.bundle) if sample.raw]
    assert {text.decode() for sample in raw for text in sample} <= {text.strip() for text in texts}
    expected = pipeline.predict_proba([clean(text) for text in texts[:300]])
    np.testing.assert_allclose(ask(model, texts[:300]), expected, RTOL, ATOL)
    with serve(target) as server:
        answers = server.post("/predict", {"rows": texts[:50]})["predictions"]
    found = [[one["probabilities"][name] for name in pipeline.classes_] for one in answers]
    np.testing.assert_allclose(found, expected[:50], RTOL, ATOL)


def save_embedding(path: Path, vocabulary: int) -> None:
    """Write a model that gives the mean of the vectors of all tokens, with an input for their types."""
    vectors = np.random.default_rng(3).normal(size=(vocabulary, 8)).astype(np.float32)
    nodes = [
        helper.make_node("Add", ["input_ids", "token_type_ids"], ["token"]),
        helper.make_node("Gather", ["vectors", "token"], ["words"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["weight"]),
        helper.make_node("Mul", ["words", "weight"], ["counted"]),
        helper.make_node("ReduceSum", ["counted", "one"], ["total"], keepdims=0),
        helper.make_node("ReduceSum", ["weight", "one"], ["count"], keepdims=0),
        helper.make_node("Div", ["total", "count"], ["embedding"]),
    ]
    weights = {"vectors": vectors, "last": np.array([2]), "one": np.array([1])}
    graph = helper.make_graph(
        nodes,
        "embedding",
        [helper.make_tensor_value_info(name, TensorProto.INT64, ["rows", "length"]) for name in INPUTS],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["rows", 8])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """Return a folder with a model of tokens, its tokenizer, and the declaration of both."""
    tokenizer = make_tokenizer("WordPiece")
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    save_embedding(tmp_path / "model.onnx", tokenizer.get_vocab_size())
    inputs = dict(zip(INPUTS, ("ids", "attention_mask", "type_ids"), strict=True))
    declared = {"file": "tokenizer.json", "inputs": inputs, "max_length": 32, "pad_id": 0}
    (tmp_path / "adapter.json").write_text(json.dumps({"kind": "text", "tokenizer": declared}))
    return tmp_path


def test_a_model_of_tokens_answers_sentences(exported: Path, write: Write) -> None:
    """Chunks of 64 texts are padded to their longest, and golden texts to theirs."""
    from tokenizers import Tokenizer

    texts, _ = read_python()
    converted = convert(
        exported / "model.onnx",
        name="embedding",
        target=exported / "models",
        data=write(texts[:300]),
        adapter=exported / "adapter.json",
        task="transform",
    )

    assert (converted.folder / "tokenizer.json").read_bytes() == (exported / "tokenizer.json").read_bytes()
    found = ask(start(converted.folder), texts[:300])
    over_http = []
    with serve(exported / "models") as server:
        for at in range(0, 300, 30):
            named = {"name": "text", "datatype": "BYTES", "shape": [30], "data": texts[at : at + 30]}
            over_http += server.post("/v2/models/embedding/infer", {"inputs": [named]})["outputs"][0]["data"]
        (one,) = server.post("/predict", texts[:1])["predictions"]
    np.testing.assert_allclose(np.reshape(over_http, (300, 8)), found, RTOL, ATOL)
    np.testing.assert_allclose(next(iter(one.values())), found[0], RTOL, ATOL)
    library = Tokenizer.from_file(str(exported / "tokenizer.json"))
    library.enable_truncation(32)
    library.enable_padding()
    encoded = library.encode_batch(texts[:300])
    outputs = (np.array([getattr(one, name) for one in encoded]) for name in ("ids", "attention_mask", "type_ids"))
    original = onnxruntime.InferenceSession(exported / "model.onnx", providers=["CPUExecutionProvider"])
    (expected,) = original.run(None, dict(zip(INPUTS, outputs, strict=True)))
    np.testing.assert_allclose(found, expected, RTOL, ATOL)


def test_a_model_of_tokens_is_proved_with_drawn_texts(exported: Path) -> None:
    """Without rows, or if real ones must not be in the bundle."""
    source, declared = exported / "model.onnx", exported / "adapter.json"
    converted = convert(source, name="embedding", target=exported / "models", adapter=declared)

    assert any(sample.raw for sample in read_samples(converted.folder, converted.bundle))
    assert ask(start(converted.folder), ["what is a name"]).shape == (1, 8)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"inputs": {"input_ids": "ids"}}, "adapter.tokenizer.inputs: expected the model's inputs"),
        ({"padding": "fixed", "inputs": {"tokens": "ids"}}, "adapter.tokenizer.inputs: expected the model's inputs"),
        ({"max_length": 0}, "adapter.tokenizer.max_length: expected an integer from 1 to 65536, got 0"),
        ({"words": 1}, "adapter.tokenizer.words: is not a key of the contract"),
    ],
)
def test_a_declaration_that_does_not_fit_is_refused(exported: Path, change: Any, problem: str) -> None:
    path = exported / "adapter.json"
    declared = json.loads(path.read_text())
    declared["tokenizer"] |= change
    path.write_text(json.dumps(declared))

    with pytest.raises(InvalidOption, match=problem):
        convert(exported / "model.onnx", name="embedding", target=exported / "models", adapter=path)


def test_the_examples_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules that clean, and a model with the vocabulary of Keras that answers texts as the whole model does."""
    from snooze.convert.frameworks.keras.framework import import_keras

    keras = import_keras()
    texts, _ = read_python()
    vectorize = keras.layers.TextVectorization(max_tokens=500, output_sequence_length=12)
    vectorize.adapt(texts)
    layers = [
        keras.layers.Embedding(500, 8),
        keras.layers.GlobalAveragePooling1D(),
        keras.layers.Dense(2, activation="softmax"),
    ]
    whole = keras.Sequential([keras.Input((), dtype="string"), vectorize, *layers])
    run: Callable[..., None] = exec
    monkeypatch.chdir(tmp_path)
    for example in python_blocks(section(PAGES["docs/inputs.md"], "## Texts")):
        with quiet():  # Keras warns of its own use of numpy
            run(example, {"model": whole})

    converted = convert(
        "behind.keras",
        name="topic",
        target="models",
        data=np.array(texts[:200], object),
        adapter=Path("adapter.json").absolute(),
    )

    expected = whole.predict(keras.ops.convert_to_tensor(texts[:500]), verbose=0)
    np.testing.assert_allclose(ask(start(converted.folder), texts[:500]), expected, RTOL, ATOL)
