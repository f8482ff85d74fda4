"""The rules of the architecture: which package may import what, and where things have their place."""

import ast
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

FRAMEWORKS = {
    "sklearn", "scipy", "skl2onnx", "joblib", "skops", "pandas", "lightgbm", "xgboost",
    "tensorflow", "keras", "tf_keras", "tf2onnx", "torch",
}  # fmt: skip
MAY_IMPORT = {
    "bundle": set(),
    "convert": {"bundle"},
    "service": {"bundle"},
    "client": {"bundle"},
    "knative": {"bundle", "client"},
    "benchmarks": {"bundle", "client", "knative"},
}
THIRD_PARTY = {
    "bundle": {"numpy", "PIL", "tokenizers", "pyarrow"},  # all but numpy inside functions, which ruff enforces
    "convert": {"numpy", "onnx", "onnxruntime"} | FRAMEWORKS,
    "service": {
        "numpy", "onnxruntime", "starlette", "uvicorn", "uvloop", "httptools", "orjson", "simdjson",
    },
    "client": {"numpy"},
    "knative": {"numpy", "yaml"},
    "benchmarks": {"numpy", "locust", "gevent", "geventhttpclient", "onnx", "psutil"},
}  # fmt: skip
# The servers that we compare with, each in a process of its own.
PEERS = {"fastapi", "kserve", "mlserver", "onnxruntime", "pydantic", "uvicorn", "uvloop"}
LATER_STANDARD = {"_sha2"}  # in the standard library from Python 3.12 on
RE_EXPORTING = {"convert/__init__.py", "service/__init__.py"}


def package_folder(package: str) -> Path:
    spec = find_spec(f"snooze.{package}")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


@cache
def modules() -> dict[str, Path]:
    """Return every source module: `convert/checks/parity.py` to where it is installed."""
    found: dict[str, Path] = {}
    for package in MAY_IMPORT:
        folder = package_folder(package)
        found |= {f"{package}/{path.relative_to(folder).as_posix()}": path for path in sorted(folder.rglob("*.py"))}
    return found


@cache
def imports(path: Path) -> list[tuple[str, bool]]:
    """Return the full name of each import, and whether it is inside a function."""
    tree = ast.parse(path.read_text())
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, id(node) in inside) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node.module or "", id(node) in inside))
    return found


@pytest.mark.parametrize("module", modules())
def test_imports_follow_the_arrows(module: str) -> None:
    package = module.split("/")[0]
    for name, _ in imports(modules()[module]):
        if name.startswith("snooze."):
            assert name.split(".")[1] in MAY_IMPORT[package] | {package}, f"{module} imports {name}"


@pytest.mark.parametrize("module", modules())
def test_third_parties_are_those_of_the_package(module: str) -> None:
    allowed = THIRD_PARTY[module.split("/")[0]] | (PEERS if module.startswith("benchmarks/peers/") else set())
    for name, _ in imports(modules()[module]):
        top = name.split(".")[0]
        if top != "snooze" and top not in sys.stdlib_module_names | LATER_STANDARD:
            assert top in allowed, f"{module} imports {name}"


@pytest.mark.parametrize("module", modules())
def test_frameworks_are_imported_only_inside_functions_of_their_room(module: str) -> None:
    for name, inside_function in imports(modules()[module]):
        if name.split(".")[0] in FRAMEWORKS:
            assert module.startswith("convert/frameworks/"), f"{module} imports {name}"
            assert inside_function, f"{module} imports {name} at module level"


def test_benchmarks_use_only_the_sizing_and_the_cluster_of_knative() -> None:
    for module, path in modules().items():
        for name, _ in imports(path):
            if module.startswith("benchmarks/") and name.startswith("snooze.knative"):
                allowed = ("snooze.knative.sizing", "snooze.knative.kubectl")
                assert name.startswith(allowed), f"{module} imports {name}"


@pytest.mark.parametrize("module", [name for name in modules() if name.endswith("__init__.py")])
def test_an_init_file_holds_a_docstring_only(module: str) -> None:
    tree = ast.parse(modules()[module].read_text())
    assert ast.get_docstring(tree)
    assert len(tree.body) == 1 or module in RE_EXPORTING, f"{module} holds more than a docstring"


@pytest.mark.process
def test_the_command_imports_no_package_before_it_is_asked_to() -> None:
    code = "import sys, snooze.cli; print(*sorted(name for name in sys.modules if name.startswith('snooze.')))"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert loaded == ["snooze.cli"]


@pytest.mark.process
def test_importing_a_package_does_no_work() -> None:
    code = f"import sys, {', '.join(f'snooze.{package}' for package in MAY_IMPORT)}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not {"numpy", "onnxruntime", "locust", "yaml", "starlette"} & set(loaded)
