"""Every module has a test module of its own name, and every test module has its module."""

from pathlib import Path

import pytest
from tests.end_to_end.test_architecture import MAY_IMPORT, modules

TESTS = Path(__file__).parents[1]
# Scripts that another module's tests start in a process of its own.
WITHOUT_OWN_TESTS = {
    "benchmarks/peers/asgi.py",
    "benchmarks/peers/bare.py",
    "benchmarks/peers/fastapi_tuned.py",
    "benchmarks/peers/fastapi_usual.py",
    "benchmarks/peers/kserve_tuned.py",
    "benchmarks/peers/mlserver_tuned.py",
    "benchmarks/peers/session_run.py",
}
# Tests of something that is no module: a data file, a page, or a client and an oracle that are not ours.
WITHOUT_OWN_MODULE = {
    "benchmarks/wake/test_wake_on_cluster.py",
    "bundle/test_docs.py",
    "knative/image/test_build.py",
    "knative/image/test_dockerfile.py",
    "knative/image/test_requirements.py",
    "knative/manifest/test_oracle.py",
    "knative/rollout/test_role.py",
    "service/http/test_paths.py",
    "service/http/test_smuggling.py",
    "service/http/test_uvicorn.py",
    "service/openapi/test_schemathesis.py",
    "service/pages/test_browser.py",
    "service/test_kserve.py",
    "service/test_mlserver.py",
    "service/test_triton.py",
}


@pytest.mark.parametrize("module", [name for name in modules() if not name.endswith(("__init__.py", "__main__.py"))])
def test_every_module_has_its_tests(module: str) -> None:
    folder, _, name = module.rpartition("/")
    assert (TESTS / folder / f"test_{name}").exists() != (module in WITHOUT_OWN_TESTS), f"tests/{folder}/test_{name}"


def test_every_test_module_has_its_module() -> None:
    tested = {
        path.relative_to(TESTS).as_posix()
        for package in MAY_IMPORT
        for path in (TESTS / package).rglob("test_*.py")
    }  # fmt: skip
    assert {name for name in tested if name.replace("/test_", "/") not in modules()} == WITHOUT_OWN_MODULE
