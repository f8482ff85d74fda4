"""PyTorch, and small networks of it, for tests that run only where it is installed."""

from types import ModuleType

import pytest

from snooze.convert.frameworks.torch.network import import_torch


@pytest.fixture(scope="session")
def torch() -> ModuleType:
    module = import_torch()
    module.manual_seed(7)
    return module


@pytest.fixture(scope="session")
def models(torch: ModuleType) -> ModuleType:
    from tests.convert.frameworks.torch import models

    return models
