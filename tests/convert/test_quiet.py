import logging
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from snooze.convert.quiet import quiet


def test_keeps_all_output_off_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet():
        print("print")
        os.write(2, b"native code\n")
        warnings.warn("warning", stacklevel=1)
        logging.getLogger("framework").error("log")
    print("ours")
    sys.stdout.flush()

    assert capfd.readouterr() == ("ours\n", "")


@pytest.mark.process
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_works_with_closed_streams(tmp_path: Path, closed: str) -> None:
    """And what is opened later never gets the number of a closed stream, where native code would write into it."""
    program = (
        "import os, sys; from snooze.convert.quiet import quiet\n"
        "with quiet(): print('chatter')\n"
        "file = open('opened', 'w'); os.write(1, b'native\\n'); os.write(2, b'native\\n')\n"
        "file.write(str(file.fileno() > 2)); file.close()"
    )
    (tmp_path / "program.py").write_text(program)

    done = subprocess.run(["bash", "-c", f"exec {sys.executable} program.py {closed}"], cwd=tmp_path, check=False)

    assert done.returncode == 0
    assert (tmp_path / "opened").read_text() == "True"


def test_raises_errors_and_restores_the_output(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="wrong"), quiet():
        raise ValueError("wrong")
    os.write(1, b"ours\n")

    assert capfd.readouterr().out == "ours\n"
    assert logging.root.manager.disable == logging.NOTSET
