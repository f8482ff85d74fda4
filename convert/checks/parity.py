"""
Whether the converted graph answers as the original does: compared on rows, and on rows where conversions go wrong.

What is asked, by kind of model (right conversions of some sixty models erred by a tenth of it at most):

* scores and other numbers of nets and of smooth models: within `1e-5 + 1e-4 * |value|` on every row;
* predicted values: within `1e-5 * range + 1e-4 * |value|`, range being that of the original's answers;
* scores of trees: within `1e-5`, but for 1 row in 1,000. Trees err by nothing or by a whole leaf, so rows are counted;
* labels: equal, unless the original itself hesitates (its two best scores nearer than 1e-4).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from snooze.bundle.contract import Tolerance
from snooze.convert.checks.cases import Array, Arrays
from snooze.convert.errors import GraphRefused
from snooze.convert.frameworks.interface import Original

RTOL: Final = 1e-4
ATOL: Final = 1e-5
NEAR_TIE: Final = 1e-4
TREE_OUTLIERS: Final = 1e-3  # the share of rows on which trees may differ


@dataclass(frozen=True)
class Comparison:
    """What a comparison found, row by row. `worst` is the largest absolute difference of a number."""

    worst: float
    outliers: Array
    flips: Array
    near_ties: Array

    def counts(self) -> dict[str, Any]:
        """Return the figures that the evidence holds."""
        return {
            "rows": len(self.flips),
            "worst": float(np.nan_to_num(self.worst)),  # JSON knows no infinity
            "outliers": int(self.outliers.sum()),
            "flips": int(self.flips.sum()),
            "near_ties": int(self.near_ties.sum()),
        }


def tolerances(original: Original, expected: Arrays, trees: bool) -> dict[str, Tolerance]:
    """Return how near each output must come to the original's."""
    found: dict[str, Tolerance] = {}
    for name, array in expected.items():
        role = original.roles.get(name)
        if array.dtype.kind not in "f" or role == "label":
            found[name] = Tolerance(exact=True)
        elif role == "scores":
            found[name] = Tolerance(atol=ATOL) if trees else Tolerance(rtol=RTOL, atol=ATOL)
        else:
            finite = array[np.isfinite(array)]
            span = float(np.ptp(finite)) if finite.size else 0.0
            found[name] = Tolerance(rtol=RTOL, atol=ATOL * max(span, ATOL))
    return found


def compare(original: Original, expected: Arrays, got: Arrays, tolerance: Mapping[str, Tolerance]) -> Comparison:
    """
    Compare the outputs of a graph with those of the original for the same rows.

    Raises:
        GraphRefused: an output has another shape.
    """
    count = len(next(iter(expected.values())))
    outliers, flips, worst = np.zeros(count, bool), np.zeros(count, bool), 0.0
    for name, want in expected.items():
        have = got[name]
        if have.shape != want.shape:
            problem = f"output '{name}' has shape {have.shape}, the original's has {want.shape}"
            raise GraphRefused(problem, "this kind of model is not converted rightly; report it with the model")
        if tolerance[name].exact:
            flips |= _by_row(have.astype(object) != want.astype(object))
            continue
        difference = _differences(want, have)
        limit = tolerance[name].atol + tolerance[name].rtol * np.abs(np.nan_to_num(want, posinf=0, neginf=0))
        outliers |= _by_row(difference > limit)
        worst = max(worst, float(difference.max(initial=0.0)))
    for name in _deciding(original):
        flips |= _winner(original, expected[name]) != _winner(original, got[name])
    hesitates = _hesitates(original, expected, count)
    return Comparison(worst, outliers, flips & ~hesitates, flips & hesitates)


def problem(comparison: Comparison, trees: bool) -> str | None:
    """Return what is wrong with a comparison, or None."""
    figures = comparison.counts()
    allowed = int(TREE_OUTLIERS * figures["rows"]) if trees else 0
    if figures["flips"] == 0 and figures["outliers"] <= allowed:
        return None
    return (
        f"{figures['outliers']} of {figures['rows']} rows differ by more than the tolerance "
        f"(worst {figures['worst']:.2g}), {figures['flips']} labels flip"
    )


def margins(original: Original, outputs: Arrays) -> Array | None:
    """Return by how much each row's class wins: the distance of the two best scores, or of the only one from 0."""
    found = [_margin(original, outputs[name])[0] for name in _deciding(original)]
    return np.minimum.reduce(found) if found else None


def _deciding(original: Original) -> list[str]:
    if original.decides is not None:
        return [original.decides]
    return [name for name, role in original.roles.items() if role == "scores"]


def _winner(original: Original, scores: Array) -> Array:
    if scores.shape[-1] == 1:
        return np.asarray(scores[..., 0] > 0)
    return np.asarray(scores.argmin(-1) if original.lowest_wins else scores.argmax(-1))


def _margin(original: Original, scores: Array) -> tuple[Array, Array]:
    """Return each row's margin and the size of its best score, which says what is near."""
    flat = scores.reshape(len(scores), -1).astype(np.float64)
    if flat.shape[1] == 1:
        return np.abs(flat[:, 0]), np.abs(flat[:, 0])
    best = np.sort(-flat if original.lowest_wins else flat, axis=1)[:, -2:]
    return best[:, 1] - best[:, 0], np.abs(best[:, 1])


def _hesitates(original: Original, expected: Arrays, count: int) -> Array:
    hesitates = np.zeros(count, bool)
    for name in _deciding(original):
        margin, size = _margin(original, expected[name])
        hesitates |= margin <= NEAR_TIE * np.maximum(1.0, size)
    return hesitates


def _differences(want: Array, have: Array) -> Array:
    """Return absolute differences: 0 between NaN and NaN or equal infinities, infinite where only one is NaN."""
    want, have = want.astype(np.float64), have.astype(np.float64)
    with np.errstate(invalid="ignore"):
        difference = np.where((want == have) | (np.isnan(want) & np.isnan(have)), 0.0, np.abs(want - have))
    return np.where(np.isnan(difference), np.inf, difference)


def _by_row(mask: Array) -> Array:
    return np.asarray(np.asarray(mask, bool).reshape(len(mask), -1).any(1))
