import logging
import os
import sys
import warnings

import pytest

from snooze.convert.quiet import quiet


def test_keeps_chatter_of_every_kind_off_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet():
        print("print")
        os.write(2, b"native code\n")
        warnings.warn("warning", stacklevel=1)
        logging.getLogger("framework").error("log")
    print("ours")
    sys.stdout.flush()

    assert capfd.readouterr() == ("ours\n", "")


def test_lets_errors_through_and_speaks_again_afterwards(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="wrong"), quiet():
        raise ValueError("wrong")
    os.write(1, b"ours\n")

    assert capfd.readouterr().out == "ours\n"
    assert logging.root.manager.disable == logging.NOTSET
