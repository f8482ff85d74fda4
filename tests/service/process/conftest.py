"""Fixtures for the tests of server processes."""

from pathlib import Path

import pytest
from tests.service.conftest import classifier, publish


@pytest.fixture(scope="session")
def tumour(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of one quick model."""
    root = tmp_path_factory.mktemp("tumour")
    publish(root, "tumour", classifier(), labels=("malignant", "benign"))
    return root
