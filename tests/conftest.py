"""Set the environment and the Hypothesis profile of all tests, and keep `--fast` to what it promises."""

import os
import re
from pathlib import Path

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before anything imports onnxruntime
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import sys
from importlib.util import find_spec

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("fast", max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", max_examples=1000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

FRAMEWORKS = {"sklearn", "skl2onnx", "tensorflow", "keras", "tf2onnx", "torch"}
PROCESS_EVENTS = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fast", action="store_true", help="only tests without a process and without a framework")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--fast"):
        config.option.markexpr = "not framework and not process and not cluster and not torch"
        settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))
        sys.addaudithook(_refuse_unmarked)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not even import a module that is marked as a whole: it may import a framework."""
    if config.getoption("--fast") and collection_path.name.startswith("test_"):
        whole = re.search(
            r"^pytestmark = .*\b(framework|process|cluster|torch)\b", collection_path.read_text(), re.MULTILINE
        )
        return True if whole else None
    return None


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("torch") and find_spec("torch") is None:
        pytest.skip("PyTorch is not installed; these tests have their own environment: scripts/test --torch")


def _refuse_unmarked(event: str, arguments: tuple[object, ...]) -> None:
    if event == "import" and arguments[0] in FRAMEWORKS:
        pytest.fail(f"imports {arguments[0]}: mark the test with @pytest.mark.framework")
    if event in PROCESS_EVENTS:
        pytest.fail("starts a process: mark the test with @pytest.mark.process")
