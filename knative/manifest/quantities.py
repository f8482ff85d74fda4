"""CPU and memory in Kubernetes' notation."""

import math
from typing import Final

MEBIBYTE: Final = 2**20


def format_cpu(cores: float) -> str:
    """Return cores, rounded up to hundredths: `130m`, `1`."""
    millicores = math.ceil(round(cores * 100, 6)) * 10
    return str(millicores // 1000) if millicores % 1000 == 0 else f"{millicores}m"


def format_memory(size: float) -> str:
    """Return bytes, rounded up to MiB: `96Mi`."""
    return f"{math.ceil(round(size / MEBIBYTE, 6))}Mi"
