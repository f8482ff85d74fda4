"""Read the quantities that manifests contain."""

FACTORS = {"m": 1e-3, "Mi": 2**20, "Gi": 2**30}


def parse_quantity(text: str) -> float:
    """Return the number that `250m`, `64Mi` or `2` stands for."""
    number = text.rstrip("miMG")
    return float(number) * FACTORS.get(text[len(number) :], 1)
