"""A model of texts, and applications with aliases."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from tests.service.conftest import (
    COLOURS,
    Client,
    Graph,
    classifier,
    colours,
    publish,
    publish_adapted,
    regressor,
    two_inputs,
)

from snooze.bundle.contract import Tensor
from snooze.service import Settings, create_app

Serve = Callable[..., Client]
TOPICS = {"model": "topic", "input": "rawtext_list", "answer": {"input": "input", "output": "label"}}
CLASSIFY = {"model": "photo", "input": "image", "answer": {"class": "label"}}


def topics() -> Graph:
    """Knows one question about rivers; every other text is about something else."""
    nodes = [
        helper.make_node("Equal", ["text", "known"], ["is_known"]),
        helper.make_node("Cast", ["is_known"], ["label"], to=TensorProto.INT64),
    ]
    outputs = [Tensor("label", "INT64", (-1,), "label")]
    golden = {"text": np.array(["where does the Rhine end", "who is it"], object)}
    weights = {"known": np.array(["where does the Rhine end"], object)}
    return Graph(nodes, [Tensor("text", "BYTES", (-1,))], outputs, golden, weights)


def write_form(name: str, *files: bytes) -> bytes:
    """Return the body of a form as `curl -F` sends it, with the boundary `cut`."""
    head = b'Content-Disposition: form-data; name="%s"; filename="a.png"' % name.encode()
    return b"".join(b"--cut\r\n%s\r\n\r\n%s\r\n" % (head, file) for file in files) + b"--cut--\r\n"


def publish_models(root: Path) -> Path:
    """Make a repository of models of texts, of numbers, of several inputs, and of pictures."""
    publish(root, "topic", topics(), labels=("other", "river"))
    publish(root, "tumour", classifier(3), labels=("malignant", "benign"))
    publish(root, "sum", regressor())
    publish(root, "person", two_inputs())
    publish_adapted(root, "photo", colours(), COLOURS, ("red", "green", "blue"))
    return root


def write_aliases(folder: Path, **aliases: Any) -> Path:
    """Write a file of aliases, each by its path without the first slash."""
    file = folder / "aliases.json"
    file.write_text(json.dumps({f"/{path}": alias for path, alias in aliases.items()}))
    return file


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository that nobody writes to."""
    return publish_models(tmp_path_factory.mktemp("models"))


@pytest.fixture
def serve(models: Path, tmp_path: Path) -> Serve:
    """Serve these models with some aliases."""

    def create(**aliases: Any) -> Client:
        file = write_aliases(tmp_path, **aliases)
        return Client(create_app(Settings(models=(models,), aliases=str(file), log="off")))

    return create
