"""A tokenizer gives what its library gives, and a damaged one is refused."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snooze.bundle.adapters import tokenizing
from snooze.bundle.adapters.tokenizing import TEXT_FACTOR, Encoder, Output, Tokenizer, find_problem
from snooze.bundle.contract import Tensor
from snooze.bundle.errors import InvalidData, InvalidRow, OutsideFolder

INPUTS: dict[str, Output] = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
DECLARED = Tokenizer("WordPiece.json", INPUTS, 16, 0)
WIDE = tuple(Tensor(name, "INT64", (-1, -1)) for name in INPUTS)
TEXTS = ["What is the name of a class?", "x", "a statement that is cut off " * 10, "é 日本 😀 don't"]


def reference(folder: Path, declared: Tokenizer, texts: list[str]) -> dict[str, Any]:
    """Return what the library itself gives, with its own truncation and padding."""
    from tokenizers import Tokenizer as Library

    library = Library.from_file(str(folder / declared.file))
    library.enable_truncation(declared.max_length, direction=declared.truncation_side)
    library.enable_padding(
        direction=declared.padding_side,
        pad_id=declared.pad_id,
        pad_token="[PAD]",
        length=declared.max_length if declared.padding == "fixed" else None,
    )
    encodings = library.encode_batch(texts, add_special_tokens=declared.special_tokens)
    return {name: np.array([getattr(one, output) for one in encodings]) for name, output in declared.inputs.items()}


@pytest.mark.parametrize("kind", ["WordPiece", "BPE", "Unigram"])
@pytest.mark.parametrize("padding", ["longest", "fixed"])
@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("special", [True, False])
def test_gives_what_the_library_gives(folder: Path, kind: str, padding: Any, side: Any, special: bool) -> None:
    declared = Tokenizer(f"{kind}.json", INPUTS, 16, 1, padding, side, side, special)
    found = Encoder(declared, WIDE, folder).encode(TEXTS)
    for name, array in reference(folder, declared, TEXTS).items():
        assert found[name].dtype == np.int64
        np.testing.assert_array_equal(found[name], array)


@given(texts=st.lists(st.text(min_size=1), min_size=1, max_size=4))
def test_gives_what_the_library_gives_for_any_text(folder: Path, texts: list[str]) -> None:
    found = Encoder(DECLARED, WIDE, folder).encode(texts)
    for name, array in reference(folder, DECLARED, texts).items():
        np.testing.assert_array_equal(found[name], array)


def test_gives_the_types_of_the_inputs(folder: Path) -> None:
    inputs = [Tensor("input_ids", "INT32", (-1, -1)), *WIDE[1:]]
    assert [array.dtype.name for array in Encoder(DECLARED, inputs, folder).encode(TEXTS).values()] == [
        "int32",
        "int64",
        "int64",
    ]


def test_gives_only_what_is_declared(folder: Path) -> None:
    declared = DECLARED._replace(inputs={"tokens": "ids"})
    assert list(Encoder(declared, (), folder).encode(TEXTS)) == ["tokens"]


def test_truncation_and_padding_of_the_file_do_not_count(folder: Path, tmp_path: Path) -> None:
    from tokenizers import Tokenizer as Library

    tokenizer = Library.from_file(str(folder / "WordPiece.json"))
    tokenizer.save(str(tmp_path / "plain.json"))
    tokenizer.enable_padding(length=1000)
    tokenizer.enable_truncation(3)
    tokenizer.save(str(tmp_path / "set.json"))
    plain, found = (
        Encoder(DECLARED._replace(file=name), WIDE, tmp_path).encode(TEXTS) for name in ("plain.json", "set.json")
    )
    for name in INPUTS:
        np.testing.assert_array_equal(found[name], plain[name])


def test_no_texts_give_empty_tensors(folder: Path) -> None:
    assert {array.shape for array in Encoder(DECLARED, WIDE, folder).encode([]).values()} == {(0, 0)}


def test_refuses_a_text_without_tokens(folder: Path) -> None:
    encoder = Encoder(DECLARED._replace(special_tokens=False), WIDE, folder)
    with pytest.raises(InvalidRow, match="text 1: has no tokens; expected at least one word"):
        encoder.encode(["name", " "])


def test_refuses_a_text_that_the_tokenizer_cannot_encode(folder: Path) -> None:
    """A vocabulary without the unknown word."""
    document = json.loads((folder / "WordPiece.json").read_text())
    document["model"]["unk_token"] = "[MISSING]"
    path = folder / "no_unknown.json"
    path.write_text(json.dumps(document))
    with pytest.raises(InvalidRow, match=r"text 0: the tokenizer fails: .*from the vocabulary"):
        Encoder(DECLARED._replace(file=path.name), WIDE, folder).encode(["日本"])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is not a tokenizer that the library can read: .*EOF"),
        (b"\xff\xfe", "is not a tokenizer"),
        (b"{}", "is not a tokenizer that the library can read: .*Model missing"),
        (b"[" * 100_000, "is not a tokenizer"),
        (b'{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["a b"]}}', "is not a tokenizer"),
    ],
)
def test_refuses_a_damaged_file(tmp_path: Path, content: bytes, problem: str) -> None:
    (tmp_path / "WordPiece.json").write_bytes(content)
    with pytest.raises(InvalidData, match=problem):
        Encoder(DECLARED, WIDE, tmp_path)


def _corrupt(folder: Path, change: Any) -> bytes:
    document = json.loads((folder / "BPE.json").read_text())
    change(document)
    return json.dumps(document).encode()


def test_refuses_a_file_that_makes_the_library_panic(folder: Path, tmp_path: Path, capfd: Any) -> None:
    """A panic of Rust is no `Exception`: it would end the server."""

    def change(document: Any) -> None:
        document["model"]["continuing_subword_prefix"] = "x" * 50

    (tmp_path / "BPE.json").write_bytes(_corrupt(folder, change))
    with pytest.raises(InvalidData, match=r"is not a tokenizer that the library can read: .*range"):
        Encoder(DECLARED._replace(file="BPE.json"), WIDE, tmp_path)
    assert "panicked" in capfd.readouterr().err  # if not, find another file that lets it panic


def test_refuses_a_text_that_makes_the_library_panic(folder: Path, tmp_path: Path, capfd: Any) -> None:
    document = json.loads((folder / "WordPiece.json").read_text())
    document["post_processor"]["special_tokens"].popitem()
    (tmp_path / "WordPiece.json").write_text(json.dumps(document))
    encoder = Encoder(DECLARED, WIDE, tmp_path)
    with pytest.raises(InvalidRow, match="text 0: the tokenizer fails"):
        encoder.encode(["a name"])
    assert "panicked" in capfd.readouterr().err


def test_an_interruption_is_no_failure_of_the_tokenizer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = Encoder(DECLARED, WIDE, folder)

    def interrupt(texts: list[str], add_special_tokens: bool) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(encoder, "_encode", interrupt)
    with pytest.raises(KeyboardInterrupt):
        encoder.encode(["a name"])


def test_refuses_a_file_that_is_too_large(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizing, "MAX_FILE_BYTES", 1000)
    with pytest.raises(InvalidData, match="is larger than 1000 bytes"):
        Encoder(DECLARED, WIDE, folder)


def test_refuses_a_file_that_does_not_exist_or_is_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match="cannot be read: No such file"):
        Encoder(DECLARED, WIDE, tmp_path)
    (tmp_path / "WordPiece.json").symlink_to("/etc/hostname")
    with pytest.raises(OutsideFolder):
        Encoder(DECLARED, WIDE, tmp_path)


def test_refuses_a_length_without_room_for_words(folder: Path) -> None:
    with pytest.raises(InvalidData, match="adds 2 special tokens, so max_length must be larger, got 2"):
        Encoder(DECLARED._replace(max_length=2), WIDE, folder)


@pytest.mark.parametrize(
    ("declared", "tensors", "problem"),
    [
        (DECLARED, WIDE, None),
        (DECLARED._replace(padding="fixed"), [one._replace(shape=(-1, 16)) for one in WIDE], None),
        (DECLARED, [one._replace(shape=(-1, 16)) for one in WIDE], r"\[-1, -1\], or with fixed .* shape \[-1, 16\]"),
        (DECLARED, [one._replace(datatype="FP32") for one in WIDE], "input 'input_ids': expected INT64 .*, got FP32"),
        (DECLARED, [one._replace(shape=(1, -1)) for one in WIDE], r"shape \[1, -1\]"),
        (DECLARED, [one._replace(shape=()) for one in WIDE], r"shape \[\]"),
        (DECLARED, WIDE[:2], r"expected the model's inputs \(input_ids, attention_mask\), got input_ids, attention_"),
        (DECLARED._replace(inputs={}), WIDE[:1], r"expected the model's inputs \(input_ids\), got none"),
    ],
)
def test_tells_why_it_does_not_fit_a_model(declared: Tokenizer, tensors: Any, problem: str | None) -> None:
    found = find_problem(declared, tensors)
    if problem is None:
        assert found is None
    else:
        assert re.search(problem, str(found))


MEASURE = """
import resource, sys
from pathlib import Path
from snooze.bundle.adapters.tokenizing import Encoder, Tokenizer
from snooze.bundle.contract import Tensor
declared = Tokenizer(sys.argv[1], {"ids": "ids"}, 8, 0)
encoder = Encoder(declared, [], Path(sys.argv[2]))
text = sys.argv[3] * (300_000 // len(sys.argv[3].encode()))
encoder.encode(["warm"])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
encoder.encode([text])
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / len(text.encode()))
print(*sorted(name for name in sys.modules if name.startswith("huggingface")))
"""


@pytest.mark.process
@pytest.mark.parametrize("kind", ["WordPiece", "BPE"])
@pytest.mark.parametrize("unit", [",", "a ", "日"])
def test_memory_is_within_the_estimate(folder: Path, kind: str, unit: str) -> None:
    command = [sys.executable, "-c", MEASURE, f"{kind}.json", str(folder), unit]
    factor, *hub = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert float(factor) < TEXT_FACTOR
    assert not hub  # which the library declares to need


def test_every_output_is_an_attribute_of_the_library() -> None:
    from tokenizers import Encoding

    assert all(hasattr(Encoding, output) for output in get_args(Output))
