"""TensorFlow, imported once for the tests of this folder."""

from types import ModuleType

import pytest

from snooze.convert.frameworks.tensorflow.graph import import_tensorflow


@pytest.fixture(scope="session")
def tf() -> ModuleType:
    return import_tensorflow()
