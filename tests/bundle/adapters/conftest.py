"""Tokenizers trained on texts that every Python carries, photographs of scikit-learn, pictures that Pillow writes."""

import os
import pydoc_data.topics
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

os.environ["TOKENIZERS_PARALLELISM"] = "false"

TOPICS = sorted(pydoc_data.topics.topics)[:40]
TEXTS = [line.strip() for topic in TOPICS for line in pydoc_data.topics.topics[topic].split("\n") if line.strip()]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]


@cache
def make_tokenizer(kind: str) -> Any:
    """Return a trained tokenizer: `WordPiece` as BERT has it, `BPE` of bytes as GPT-2, or `Unigram` as XLNet."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    options: dict[str, Any] = {"vocab_size": 800, "special_tokens": SPECIAL, "show_progress": False}
    if kind == "WordPiece":
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer()
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer: Any = trainers.WordPieceTrainer(**options)
    elif kind == "BPE":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
        trainer = trainers.BpeTrainer(**options, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    else:
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.normalizer = normalizers.NFKC()
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(**options, unk_token="[UNK]")
    tokenizer.train_from_iterator(TEXTS, trainer)
    if kind == "WordPiece":
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
    return tokenizer


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with `WordPiece.json`, `BPE.json` and `Unigram.json`."""
    folder = tmp_path_factory.mktemp("tokenizers")
    for kind in ("WordPiece", "BPE", "Unigram"):
        make_tokenizer(kind).save(str(folder / f"{kind}.json"))
    return folder


Save = Callable[..., bytes]


def save_picture(image: Any, kind: str, **options: Any) -> bytes:
    """Return a picture of Pillow as a file."""
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def same(got: Any, expected: Any) -> bool:
    """Return whether two pictures of Pillow, or arrays, have the same values."""
    return np.array_equal(np.asarray(got), np.asarray(expected))


@pytest.fixture
def save() -> Save:
    return save_picture


@pytest.fixture(scope="session")
def photographs() -> dict[str, bytes]:
    """Two photographs of 640 x 427 pixels, as JPEG files."""
    spec = find_spec("sklearn")
    if spec is None or spec.origin is None:
        pytest.skip("scikit-learn, whose photographs these tests use, is not installed")
    folder = Path(spec.origin).parent / "datasets/images"
    return {name: (folder / f"{name}.jpg").read_bytes() for name in ("china", "flower")}


@pytest.fixture(scope="session")
def pattern() -> Any:
    """A picture of Pillow in colour, 40 pixels wide and 30 high, that looks different whichever way it is turned."""
    y, x = np.mgrid[0:30, 0:40]
    return Image.fromarray(np.stack([6 * x, 8 * y, (x * y) % 256], 2).astype(np.uint8))


@pytest.fixture(scope="session")
def keras() -> Any:
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(7)
    return keras
