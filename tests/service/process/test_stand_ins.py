import subprocess
import sys

import pytest
from tests.service.conftest import DEADLINE

from snooze.service.process.stand_ins import STAND_INS, StandIn, stand_ins

IMPORTS = "import numpy, asyncio, uvloop, uvicorn.server"


def run(code: str) -> str:
    """Run Python in a new process and return what it prints."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=True).stdout


def test_each_replaced_module_would_be_imported() -> None:
    assert run(f"import sys; {IMPORTS}; print(sorted(set({STAND_INS}) - set(sys.modules)))") == "[]\n"


def test_who_imports_a_replaced_module_later_gets_the_real_one() -> None:
    code = f"""
import sys
from snooze.service.process.stand_ins import STAND_INS, StandIn, stand_ins
with stand_ins():
    {IMPORTS}
assert not set(STAND_INS) & set(sys.modules)
import logging.config, ssl, uvicorn.main, numpy._core._add_newdocs, numpy.typing
assert not any(isinstance(sys.modules[name], StandIn) for name in STAND_INS)
assert ssl.create_default_context().check_hostname
assert logging.config.dictConfig
assert numpy.typing.NDArray[numpy.float32].__args__
assert numpy.linalg.eigh(numpy.eye(2)).eigenvalues.tolist() == [1.0, 1.0]
print("right")
"""
    assert run(code) == "right\n"


def test_a_module_that_is_imported_already_stays() -> None:
    import ssl

    with stand_ins():
        assert sys.modules["ssl"] is ssl
    assert sys.modules["ssl"] is ssl


def test_no_stand_in_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "ssl", raising=False)
    with stand_ins():
        assert isinstance(sys.modules["ssl"], StandIn)
    with pytest.raises(ModuleNotFoundError), stand_ins():
        __import__("nothing_of_this_name")

    assert "ssl" not in sys.modules
