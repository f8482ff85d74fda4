"""
What the server adds to a model's own cost, measured once on one machine, and how wrong the predictions then were.
"""

from collections.abc import Mapping
from typing import Final

INTERPRETER_SECONDS: Final = 0.05
REQUEST_SECONDS: Final = 40e-6
WAKE_SECONDS: Final = 40e-6
INPUT_VALUE_SECONDS: Final = 30e-9
OUTPUT_VALUE_SECONDS: Final = 30e-9
PATH_SECONDS: Final = 100e-6
SERVER_BYTES: Final = 60 * 2**20
BETA: Final = 1.4
GAMMA_BYTES: Final = 22 * 10**6
LARGEST_ERRORS: Final[Mapping[str, float]] = {}
