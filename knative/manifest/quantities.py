"""CPU and memory in Kubernetes' notation."""

import math
import re
from typing import Final

MEBIBYTE: Final = 2**20
CPU: Final = re.compile(r"(\d{1,7})m|(\d{1,4}(?:\.\d{1,3})?)", re.ASCII)
MEMORY: Final = re.compile(r"(\d{1,15})(|k|M|G|T|Ki|Mi|Gi|Ti)", re.ASCII)
BYTES: Final = {
    "": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40,
}  # fmt: skip
MAX_BYTES: Final = 2**53


def format_cpu(cores: float) -> str:
    """Return cores, rounded up to hundredths unless they are whole thousandths: `130m`, `1`."""
    millicores = round(cores * 1000, 6)
    millicores = int(millicores) if millicores == int(millicores) else math.ceil(millicores / 10) * 10
    return str(millicores // 1000) if millicores % 1000 == 0 else f"{millicores}m"


def parse_cpu(text: str) -> float:
    """
    Return the cores of `250m`, `0.5` or `2`.

    Raises:
        ValueError: it is not such a quantity, or not at least `1m`.
    """
    found = CPU.fullmatch(text)
    cores = 0.0 if found is None else int(found[1]) / 1000 if found[1] else float(found[2])
    if cores <= 0:
        raise ValueError(f"expected cores such as 250m, 0.5 or 2, got {text[:40]!r}")
    return cores


def format_memory(size: float) -> str:
    """Return bytes, rounded up to MiB: `96Mi`."""
    return f"{math.ceil(round(size / MEBIBYTE, 6))}Mi"


def parse_memory(text: str) -> int:
    """
    Return the bytes of `96Mi`, `1G` or `100000000`.

    Raises:
        ValueError: it is not such a quantity, or not at least one byte.
    """
    found = MEMORY.fullmatch(text)
    size = int(found[1]) * BYTES[found[2]] if found else 0
    if not 1 <= size <= MAX_BYTES:
        raise ValueError(f"expected bytes such as 96Mi, 1G or 100000000, got {text[:40]!r}")
    return size
