"""Texts as strings or as the integers of a tokenizer: the contract, the inputs, and a server that takes them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper
from tests.service.conftest import Graph, publish

from snooze.bundle.adapters import registry, text
from snooze.bundle.adapters.cleaning import Cleaning
from snooze.bundle.adapters.text import LONG_TEXTS, Declaration, TextAdapter
from snooze.bundle.adapters.tokenizing import Tokenizer
from snooze.bundle.codec import document
from snooze.bundle.contract import Bundle, Tensor
from snooze.bundle.errors import InvalidContract, InvalidRow, MissingExtra, MissingFile
from snooze.bundle.store import read
from snooze.service.errors import GoldenMismatch, UnusableModel
from snooze.service.runtime.model import load as load_model

STRING = Tensor("x", "BYTES", (-1,))
PLAIN = Declaration("text", "x")
LOWER = Declaration("text", "x", Cleaning(case="lower"))
WORDPIECE = Tokenizer("WordPiece.json", {"ids": "ids", "mask": "attention_mask"}, 16, 0)
TOKENS = Declaration("text", tokenizer=WORDPIECE)
IDS = (Tensor("ids", "INT64", (-1, -1)), Tensor("mask", "INT32", (-1, -1)))
# What the server loads for a text adapter, beside numpy and the modules of a cold start.
LOADED = """
import sys
from pathlib import Path
from snooze.bundle.adapters import registry, text
from snooze.bundle.contract import Tensor
registry.find("text").load(registry.declaration({"kind": "text", "input": "x"}), [Tensor("x", "BYTES", (-1,))], Path())
print("tokenizers" in sys.modules)
"""


def load(declared: Declaration, *inputs: Tensor, folder: Path = Path()) -> TextAdapter:
    return TextAdapter(declared, inputs, folder)


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_texts_are_the_values_of_a_string_input(shape: tuple[int, ...]) -> None:
    adapter = load(PLAIN, STRING._replace(shape=shape))
    array = adapter.apply(["a", "ü", ""])["x"]
    assert (array.dtype, array.shape) == (np.dtype(object), (3, *shape[1:]))
    assert array.ravel().tolist() == ["a", "ü", ""]
    assert adapter.input is None  # the input itself takes raw texts
    assert adapter.estimate(["a" * 10**6]) == (0, False)


def test_texts_are_cleaned() -> None:
    adapter = load(LOWER, STRING)
    assert adapter.apply(["What IS"])["x"].tolist() == ["what is"]
    assert adapter.input == Tensor("text", "BYTES", (-1,))


def test_texts_are_cleaned_before_they_are_tokenized(folder: Path) -> None:
    declared = TOKENS._replace(cleaning=Cleaning(numbers=""))
    cleaned = load(declared, *IDS, folder=folder).apply(["the 7 name"])
    plain = load(TOKENS, *IDS, folder=folder).apply(["the  name"])
    assert cleaned["ids"].tolist() == plain["ids"].tolist()
    assert [array.dtype.name for array in cleaned.values()] == ["int64", "int32"]


@pytest.mark.parametrize(
    ("taken", "name"), [(["x"], "text"), (["text"], "raw_text"), (["text", "raw_text"], "raw_raw_text")]
)
def test_the_name_of_raw_texts_is_not_that_of_an_input(folder: Path, taken: list[str], name: str) -> None:
    declared = TOKENS._replace(tokenizer=WORDPIECE._replace(inputs=dict.fromkeys(taken, "ids")))
    inputs = [Tensor(one, "INT64", (-1, -1)) for one in taken]
    assert load(declared, *inputs, folder=folder).input == Tensor(name, "BYTES", (-1,))


def test_works_before_the_inputs_are_known(folder: Path) -> None:
    """Conversion finds out what the inputs are by what the adapter makes."""
    assert load(LOWER).apply(["A"])["x"].tolist() == ["a"]
    assert {array.dtype.name for array in load(TOKENS, folder=folder).apply(["a"]).values()} == {"int64"}


@pytest.mark.parametrize("declared", [PLAIN, LOWER, TOKENS])
@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (7, "text 1: expected a text, got int"),
        (None, "text 1: expected a text, got NoneType"),
        ("ab\ud83d", "text 1: has half of a surrogate pair at character 2"),
    ],
)
def test_refuses_what_is_no_text(folder: Path, declared: Declaration, row: Any, problem: str) -> None:
    with pytest.raises(InvalidRow) as caught:
        load(declared, folder=folder).apply(["a", row])
    assert str(caught.value) == problem


def test_refuses_a_text_that_grows() -> None:
    adapter = load(Declaration("text", "x", Cleaning(unicode="NFKC")))
    with pytest.raises(InvalidRow, match="text 1: grows more than 4 times when it is cleaned"):
        adapter.apply(["a", "\ufdfa" * 1000])


def test_estimates_the_tokens_of_all_texts_and_the_work_on_the_longest(folder: Path) -> None:
    adapter = load(TOKENS, *IDS, folder=folder)
    short, many, long = (adapter.estimate(rows) for rows in (["a"], ["a"] * 1000, ["a" * (LONG_TEXTS + 1)]))
    assert (short.is_long, many.is_long, long.is_long) == (False, True, True)
    assert many.memory > 1000 * 16 * 8 * 2
    assert long.memory > 100 * LONG_TEXTS
    with pytest.raises(InvalidRow):
        adapter.estimate([7])  # type: ignore[list-item]


def test_estimates_what_cleaning_takes() -> None:
    adapter = load(LOWER)
    assert adapter.estimate([]) == (0, False)
    assert adapter.estimate(["a" * 100]).memory >= 800
    assert adapter.estimate(["ü" * LONG_TEXTS]).is_long


def test_estimates_that_cleaning_makes_a_text_longer(folder: Path) -> None:
    cleaned = load(TOKENS._replace(cleaning=Cleaning(contractions=True)), folder=folder).estimate(["a" * 10_000])
    assert cleaned.memory > 3 * load(TOKENS, folder=folder).estimate(["a" * 10_000]).memory


def test_draws_the_same_words_each_time(folder: Path) -> None:
    adapter = load(TOKENS, *IDS, folder=folder)
    assert adapter.draw(3) == adapter.draw(3)
    assert adapter.draw(3) != adapter.draw(3, seed=1)
    assert len(adapter.apply(adapter.draw(3))["ids"]) == 3


def test_packs_a_text() -> None:
    adapter = load(PLAIN, STRING)
    assert adapter.unpack(adapter.pack("Wer schrieb „Faust“?")) == "Wer schrieb „Faust“?"
    with pytest.raises(ValueError, match="utf-8"):
        adapter.unpack(b"\xff")


@pytest.mark.parametrize(
    ("declared", "inputs", "field"),
    [
        (PLAIN, (STRING,), None),
        (PLAIN, (STRING._replace(shape=(-1, 1)),), None),
        (PLAIN, (STRING._replace(shape=(-1, 2)),), "adapter.input"),
        (PLAIN, (STRING._replace(name="y"),), "adapter.input"),
        (PLAIN, (STRING._replace(datatype="INT64"),), "adapter.input"),
        (PLAIN, (STRING, STRING._replace(name="y")), "adapter.input"),
        (Declaration("text"), (STRING,), "adapter.input"),
        (TOKENS, IDS, None),
        (TOKENS._replace(input="ids"), IDS, "adapter.input"),
        (TOKENS, IDS[:1], "adapter.tokenizer.inputs"),
        (TOKENS._replace(tokenizer=WORDPIECE._replace(file="other.json")), IDS, "adapter.tokenizer.file"),
    ],
)
def test_checks_the_declaration_against_the_signature(
    contract: Bundle, declared: Declaration, inputs: Any, field: str | None
) -> None:
    files = {**contract.files, "WordPiece.json": "sha256:" + "2" * 64}
    bundle = contract._replace(adapter=document(declared), inputs=inputs, files=files)
    if field is None:
        registry.check(bundle)
        assert registry.declaration(bundle.adapter or {}) == declared
        return
    with pytest.raises(InvalidContract) as caught:
        registry.check(bundle)
    assert caught.value.field == field


def test_names_the_extra_of_a_missing_library(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingExtra) as caught:
        load(TOKENS, *IDS, folder=folder)
    assert (caught.value.module, caught.value.extra) == ("tokenizers", "text")


@pytest.mark.process
def test_texts_as_they_are_need_no_library() -> None:
    found = subprocess.run([sys.executable, "-c", LOADED], check=True, capture_output=True, text=True)
    assert found.stdout == "False\n"


def embedding(adapter: TextAdapter, vocabulary: int) -> tuple[Graph, list[bytes]]:
    """Return the mean of random word vectors over the tokens that are not padding, and its golden raw rows."""
    weights = np.random.default_rng(3).normal(size=(vocabulary, 8)).astype(np.float32)
    nodes = [
        helper.make_node("Gather", ["vectors", "ids"], ["words"]),
        helper.make_node("Cast", ["mask"], ["kept"], to=1),
        helper.make_node("Unsqueeze", ["kept", "axis"], ["weight"]),
        helper.make_node("Mul", ["words", "weight"], ["counted"]),
        helper.make_node("ReduceSum", ["counted", "one"], ["total"], keepdims=0),
        helper.make_node("ReduceSum", ["weight", "one"], ["count"], keepdims=0),
        helper.make_node("Div", ["total", "count"], ["vector"]),
    ]
    raw = ["what is a name", "", "a much longer text than the others, which is cut off after sixteen tokens"]
    outputs = [Tensor("vector", "FP32", (-1, 8), "embedding")]
    parameters = {"vectors": weights, "axis": np.array([2]), "one": np.array([1])}
    return Graph(nodes, IDS, outputs, adapter.apply(raw), parameters), list(map(adapter.pack, raw))


def test_a_server_proves_the_adapter(folder: Path, tmp_path: Path) -> None:
    adapter = load(TOKENS, *IDS, folder=folder)
    graph, raw = embedding(adapter, 800)
    file = (folder / WORDPIECE.file).read_bytes()
    published = publish(tmp_path, "m", graph, adapter=document(TOKENS), raw=raw, files={WORDPIECE.file: file})
    model = load_model(published, read(published), 1)
    model.load_adapter(model.samples())
    assert model.adapter is not None
    inputs = model.adapter.apply(["what is a name", "a"])
    np.testing.assert_allclose(model.run(["vector"], inputs)[0][0], model.samples()[0].outputs["vector"][0], 1e-5)


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"{}", "its adapter does not work: .*Model missing"), (None, "is listed in bundle.json but does not exist")],
)
def test_a_server_refuses_a_damaged_tokenizer(
    folder: Path, tmp_path: Path, content: bytes | None, problem: str
) -> None:
    graph, raw = embedding(load(TOKENS, *IDS, folder=folder), 800)
    files = {WORDPIECE.file: content or b"{}"}
    published = publish(tmp_path, "m", graph, adapter=document(TOKENS), raw=raw, files=files)
    if content is None:
        (published / WORDPIECE.file).unlink()
    with pytest.raises((UnusableModel, MissingFile), match=problem):
        load_adapter(published)


def test_a_server_refuses_another_tokenizer(folder: Path, tmp_path: Path) -> None:
    """Its hash may be right; what it makes of the golden texts is not."""
    graph, raw = embedding(load(TOKENS, *IDS, folder=folder), 800)
    changed = json.loads((folder / WORDPIECE.file).read_text())
    changed["normalizer"]["lowercase"] = False
    files = {WORDPIECE.file: json.dumps(changed).encode()}
    raw[0] = b"What is a Name"
    with pytest.raises(GoldenMismatch, match="ids"):
        load_adapter(publish(tmp_path, "m", graph, adapter=document(TOKENS), raw=raw, files=files))


def load_adapter(published: Path) -> None:
    model = load_model(published, read(published), 1)
    model.load_adapter(model.samples())


def test_conversion_is_told_at_once_that_the_inputs_are_others(folder: Path) -> None:
    with pytest.raises(InvalidContract, match="expected the model's inputs"):
        text.load(TOKENS, (STRING,), folder)
    with pytest.raises(InvalidContract, match="the name of a string input, or a tokenizer"):
        text.load(Declaration("text"), (), folder)
