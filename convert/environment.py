"""The environment of the Python processes that a conversion starts."""

import os
from pathlib import Path


def child_environment() -> dict[str, str]:
    """Return the environment of a Python process that imports `snooze` from where this one did."""
    package = Path(__file__).parents[2]  # the folder that contains `snooze`, installed or not
    path = os.pathsep.join(filter(None, [str(package), os.environ.get("PYTHONPATH")]))
    return os.environ | {"PYTHONPATH": path, "ORT_DISABLE_TELEMETRY": "1"}
