"""Means, differences and ratios of paired measurements, with the ends of their 95 % intervals."""

from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist, mean, stdev
from typing import Final, NamedTuple

MIN_ROUNDS: Final = 5  # an interval of fewer is too wide to be of use
Z: Final = NormalDist().inv_cdf(0.975)


class Estimate(NamedTuple):
    """A value, and half the width of its 95 % interval; None with fewer than `MIN_ROUNDS` measurements."""

    value: float
    half_width: float | None


def estimate_mean(values: Sequence[float]) -> Estimate:
    """Return the mean of values that are independent of each other."""
    return Estimate(mean(values), _half_width(values))


def estimate_difference(values: Sequence[float], base: Sequence[float]) -> Estimate:
    """Return the mean of what each value is above the base of the same round."""
    return estimate_mean([value - other for value, other in zip(values, base, strict=True)])


def estimate_ratio(values: Sequence[float], base: Sequence[float]) -> Estimate:
    """
    Return the mean of the values by the mean of the base, paired by round.

    The interval is that of a ratio estimator: the variance of value - ratio × base (W. G. Cochran, Sampling Techniques,
    3rd edition 1977, section 6.3; the delta method).
    """
    ratio = mean(values) / mean(base)
    half_width = _half_width([value - ratio * other for value, other in zip(values, base, strict=True)])
    return Estimate(ratio, None if half_width is None else half_width / mean(base))


def _half_width(values: Sequence[float]) -> float | None:
    if len(values) < MIN_ROUNDS:
        return None
    return t_quantile(len(values) - 1) * stdev(values) / sqrt(len(values))


def t_quantile(freedom: int) -> float:
    """
    Return the 0.975 quantile of Student's t, within 0.1 % from 4 degrees of freedom on.

    Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5.
    """
    return (
        Z
        + (Z**3 + Z) / (4 * freedom)
        + (5 * Z**5 + 16 * Z**3 + 3 * Z) / (96 * freedom**2)
        + (3 * Z**7 + 19 * Z**5 + 17 * Z**3 - 15 * Z) / (384 * freedom**3)
        + (79 * Z**9 + 776 * Z**7 + 1482 * Z**5 - 1920 * Z**3 - 945 * Z) / (92160 * freedom**4)
    )
