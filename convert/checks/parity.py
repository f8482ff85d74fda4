"""
Whether a converted graph answers as the original model does.

Tolerances by kind of output (correct conversions of about sixty models stayed within a tenth of them):

* scores of networks and smooth models: `1e-5 + 1e-4 * |value|` on every row;
* predicted values and other numbers: `1e-5 * range + 1e-4 * |value|`, with the range of the original's answers. A
  column with a range 100 times smaller than the widest one's is given 1e-3 of its own, so that it cannot be lost;
* scores of trees: `1e-5`, except on 1 row in 1,000. Trees differ by nothing or by a whole leaf, so rows are counted;
* a hundred times as much for networks in half precision;
* labels: equal, unless the original's two best scores are closer than 1e-4.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from snooze.bundle.contract import MAX_NUMBER, Tolerance
from snooze.bundle.evidence import Differences
from snooze.convert.checks.cases import Array, Case
from snooze.convert.errors import GraphRefused
from snooze.convert.frameworks.interface import Original

HALF: Final = 100.0  # times the tolerance for graphs in half precision
RTOL: Final = 1e-4
ATOL: Final = 1e-5
COLUMN_ATOL: Final = 1e-3  # of a column's own range
PRECISION: Final = 3e-6  # of the widest range, which deep networks do not exceed in single precision
MAX_COLUMNS: Final = 1_000
NEAR_TIE: Final = 1e-4
MAX_TREE_OUTLIERS: Final = 1e-3  # share of rows on which trees may differ


@dataclass(frozen=True)
class Comparison:
    """What a comparison found for each unit. `worst` is the largest absolute difference of a number."""

    worst: float
    outliers: Array
    flips: Array
    near_ties: Array

    @property
    def differences(self) -> Differences:
        """The comparison as counts of units, for the evidence."""
        return Differences(
            rows=len(self.flips),
            worst=float(np.minimum(self.worst, MAX_NUMBER)),  # JSON has no infinity
            outliers=int(self.outliers.sum()),
            flips=int(self.flips.sum()),
            near_ties=int(self.near_ties.sum()),
        )


def tolerances(original: Original, expected: Sequence[Case], trees: bool) -> dict[str, Tolerance]:
    """Return how close each output must come to the original's answers."""
    found: dict[str, Tolerance] = {}
    for name in expected[0].tensors:
        role, kind = original.roles.get(name), expected[0].tensors[name].dtype.kind
        rtol, atol = (HALF * one if original.half else one for one in (RTOL, ATOL))
        if kind != "f" or role == "label":
            found[name] = Tolerance(exact=True)
        elif role == "scores" or name in original.probabilities:
            found[name] = Tolerance(atol=atol) if trees else Tolerance(rtol=rtol, atol=atol)
        else:
            found[name] = by_column(atol, COLUMN_ATOL, spans(expected, name), rtol)
    return found


def by_column(share: float, most: float, spans: Array, rtol: float) -> Tolerance:
    """
    Return a tolerance of a share of the widest column's span, and at most a share `most` of each column's own span.

    Single precision does not carry three millionths of the widest span through a deep network, so no column is given
    less, and smaller spans do not count.
    """
    widest = max(float(spans.max()), ATOL)
    counted = np.where(spans > PRECISION * widest, spans, widest)
    atol = np.clip(most * counted, PRECISION * widest, share * widest)
    if np.ptp(atol) == 0:
        return Tolerance(rtol=rtol, atol=float(atol[0]))
    return Tolerance(rtol=rtol, columns=tuple(float(f"{one:.3g}") for one in atol))


def spans(cases: Sequence[Case], name: str) -> Array:
    """Return the range of the finite values of each column of an output: its last dimension, if that is fixed."""
    arrays = [np.asarray(case.tensors[name], np.float64) for case in cases]
    widths = {array.shape[-1] if array.ndim > 1 else 1 for array in arrays}
    width = widths.pop() if len(widths) == 1 else 1
    if not 0 < width <= MAX_COLUMNS or any(
        case.axes[name] == array.ndim - 1 for case, array in zip(cases, arrays, strict=True)
    ):
        width = 1
    values = np.concatenate([array.reshape(-1, width) for array in arrays])
    finite = np.isfinite(values)
    high, low = (
        extreme(np.where(finite, values, 0.0), axis=0, where=finite, initial=start)
        for extreme, start in ((np.max, -np.inf), (np.min, np.inf))
    )
    return np.where(finite.any(0), high - low, 0.0)


def compare(
    original: Original, expected: Sequence[Case], got: Sequence[Case], tolerance: Mapping[str, Tolerance]
) -> Comparison:
    """Compare a graph's outputs with the original's for the same cases. Raises GraphRefused if shapes differ."""
    return _join([_compare(original, *pair, tolerance) for pair in zip(expected, got, strict=True)])


def compare_edges(
    original: Original, expected: Sequence[Case], got: Sequence[Case], tolerance: Mapping[str, Tolerance], trees: bool
) -> Comparison:
    """
    Compare outputs for edge cases as `compare` does, but give a case the tolerance of its own range if that is wider.

    Inputs ten times as large lead to outputs, and so to rounding errors, that are larger than those of ordinary rows.
    """
    pairs = zip(expected, got, strict=True)
    return _join(
        [_compare(original, *pair, _widen(tolerance, tolerances(original, pair[:1], trees))) for pair in pairs]
    )


def _compare(original: Original, expected: Case, got: Case, tolerance: Mapping[str, Tolerance]) -> Comparison:
    count = expected.units
    outliers, flips, worst = np.zeros(count, bool), np.zeros(count, bool), 0.0
    for name, array in expected.tensors.items():
        if got.tensors[name].shape != array.shape:
            problem = f"output '{name}' has shape {got.tensors[name].shape}, the original's has {array.shape}"
            raise GraphRefused(problem, "models of this kind are not converted correctly; please report it")
        want, have = expected.by_unit(name), Case(got.tensors, expected.axes).by_unit(name)
        if tolerance[name].exact:
            flips |= _any(have.astype(object) != want.astype(object))
            continue
        difference = _differences(want, have)
        limit = np.asarray(tolerance[name].columns or tolerance[name].atol) + tolerance[name].rtol * np.abs(
            np.nan_to_num(want, posinf=0, neginf=0)
        )
        outliers |= _any(difference > limit)
        worst = max(worst, float(difference.max(initial=0.0)))
    near_tie = np.zeros(count, bool)
    for name in _deciding(original):
        want, have = expected.by_unit(name), Case(got.tensors, expected.axes).by_unit(name)
        flips |= _any(_winner(original, want) != _winner(original, have))
        margin, best = _margin(original, want)
        near_tie |= margin <= (HALF * NEAR_TIE if original.half else NEAR_TIE) * np.maximum(1.0, best)
    return Comparison(worst, outliers, flips & ~near_tie, flips & near_tie)


def _join(found: Sequence[Comparison]) -> Comparison:
    return Comparison(
        max(one.worst for one in found),
        np.concatenate([one.outliers for one in found]),
        np.concatenate([one.flips for one in found]),
        np.concatenate([one.near_ties for one in found]),
    )


def _widen(tolerance: Mapping[str, Tolerance], own: Mapping[str, Tolerance]) -> dict[str, Tolerance]:
    """Return the wider of two tolerances of each output."""
    found = dict(tolerance)
    for name, one in tolerance.items():
        if not one.exact:
            limits = np.maximum(one.columns or one.atol, own[name].columns or own[name].atol)
            found[name] = Tolerance(rtol=one.rtol, columns=tuple(np.atleast_1d(limits).tolist()))
    return found


def find_problem(differences: Differences, trees: bool) -> str | None:
    """Return what is wrong with a comparison, or None."""
    allowed = int(MAX_TREE_OUTLIERS * differences.rows) if trees else 0
    if differences.flips == 0 and differences.outliers <= allowed:
        return None
    return (
        f"{differences.outliers} of {differences.rows} rows differ by more than the tolerance "
        f"(worst {differences.worst:.2g}), {differences.flips} labels flip"
    )


def margins(original: Original, outputs: Sequence[Case]) -> Array | None:
    """Return for each unit the distance of its two best scores (of a single score from 0), None without scores."""
    names = _deciding(original)
    if not names:
        return None
    return np.concatenate(
        [np.minimum.reduce([_margin(original, case.by_unit(name))[0] for name in names]) for case in outputs]
    )


def _deciding(original: Original) -> list[str]:
    if original.decides is not None:
        return [original.decides]
    return [name for name, role in original.roles.items() if role == "scores"]


def _winner(original: Original, scores: Array) -> Array:
    if scores.ndim == 1 or scores.shape[-1] == 1:
        return np.asarray(scores > 0)
    return np.asarray(scores.argmin(-1) if original.lowest_wins else scores.argmax(-1))


def _margin(original: Original, scores: Array) -> tuple[Array, Array]:
    """Return each unit's margin, and its best score, in relation to which a margin is small."""
    flat = scores.reshape(len(scores), -1).astype(np.float64)
    if flat.shape[1] == 1:
        return np.abs(flat[:, 0]), np.abs(flat[:, 0])
    best = np.sort(-flat if original.lowest_wins else flat, axis=1)[:, -2:]
    return best[:, 1] - best[:, 0], np.abs(best[:, 1])


def _differences(want: Array, have: Array) -> Array:
    """Return absolute differences: 0 between NaN and NaN or equal infinities, infinite if only one is NaN."""
    want, have = want.astype(np.float64), have.astype(np.float64)
    with np.errstate(invalid="ignore"):
        difference = np.where((want == have) | (np.isnan(want) & np.isnan(have)), 0.0, np.abs(want - have))
    return np.where(np.isnan(difference), np.inf, difference)


def _any(mask: Array) -> Array:
    """Return for each unit whether anything in it is true."""
    return np.asarray(np.asarray(mask, bool).reshape(len(mask), -1).any(1))
