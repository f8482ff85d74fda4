"""The arrows of the architecture: who may import whom, and where the large packages may be met."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

PACKAGES = ("bundle", "convert", "service", "client", "knative", "benchmarks")
FRAMEWORKS = {"sklearn", "skl2onnx", "joblib", "tensorflow", "keras", "tf2onnx"}
MAY_IMPORT = {
    "bundle": {"bundle"},
    "convert": {"bundle", "convert"},
    "service": {"bundle", "service"},
    "knative": {"bundle", "knative"},
    "benchmarks": {"bundle", "client", "knative", "benchmarks"},
    "client": {"bundle", "client"},
}
THIRD_PARTY = {
    "bundle": {"numpy"},
    "convert": {"numpy", "onnx", "onnxruntime"} | FRAMEWORKS,
    "service": {"numpy", "onnxruntime", "starlette", "uvicorn", "uvloop", "httptools", "orjson"},
    "knative": {"numpy", "yaml"},
    "client": {"numpy"},
    "benchmarks": {
        "numpy",
        "locust",
        "gevent",
        "geventhttpclient",
        "psutil",
        "onnxruntime",
        "fastapi",
        "pydantic",
        "uvicorn",
    },
}


def folder(package: str) -> Path:
    spec = find_spec(f"snooze.{package}")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def modules() -> Iterator[tuple[str, Path]]:
    for package in PACKAGES:
        for path in sorted(folder(package).rglob("*.py")):
            yield package, path


def imported(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield the full name of each import, and whether it stands inside a function."""
    tree = ast.parse(path.read_text())
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, id(node) in inside
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", id(node) in inside


ALL_MODULES = [pytest.param(package, path, id=f"{package}/{path.name}") for package, path in modules()]


@pytest.mark.parametrize(("package", "path"), ALL_MODULES)
def test_follows_the_arrows(package: str, path: Path) -> None:
    for name, _ in imported(path):
        if name.startswith("snooze."):
            assert name.split(".")[1] in MAY_IMPORT[package], f"{path} imports {name}"


@pytest.mark.parametrize(("package", "path"), ALL_MODULES)
def test_knows_only_the_third_parties_of_its_package(package: str, path: Path) -> None:
    for name, _ in imported(path):
        top = name.split(".")[0]
        if top != "snooze" and top not in sys.stdlib_module_names:
            assert top in THIRD_PARTY[package], f"{path} imports {name}"


@pytest.mark.parametrize(("package", "path"), ALL_MODULES)
def test_meets_frameworks_only_inside_functions_of_their_modules(package: str, path: Path) -> None:
    for name, inside_function in imported(path):
        if name.split(".")[0] in FRAMEWORKS:
            assert package == "convert"
            assert path.parents[1].name == "frameworks", f"{path} imports {name}"
            assert inside_function, f"{path} imports {name} at module level"


def test_only_the_sizing_of_knative_is_used_by_benchmarks() -> None:
    for path in folder("benchmarks").rglob("*.py"):
        for name, _ in imported(path):
            if name.startswith("snooze.knative"):
                assert name.startswith("snooze.knative.sizing"), f"{path} imports {name}"


def test_the_command_imports_no_package_before_it_is_asked_to() -> None:
    code = "import sys, snooze.cli; print(*sorted(name for name in sys.modules if name.startswith('snooze.')))"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert loaded == ["snooze.cli"]


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_a_package_does_no_work(package: str) -> None:
    code = f"import sys, snooze.{package}; print(*(set(sys.modules) & {{'numpy', 'onnxruntime', 'locust', 'yaml'}}))"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert loaded == []
