"""
Scores with intervals, and tests of two arms that answered the same rows.

The rows are paired: what counts is where the arms differ, which finds a smaller difference than two separate scores.
Numbers are drawn with a fixed seed, so the same answers give the same figures.
"""

import math
from statistics import NormalDist
from typing import Any, Final, NamedTuple

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

SEED: Final = 20261121
DRAWS: Final = 4000  # of resamples; a p-value cannot be below 1 / 4,001
POWER: Final = 0.8  # of the differences that are called detectable


class Estimate(NamedTuple):
    """A figure, and the interval that contains the true one with the chosen confidence."""

    value: float
    low: float
    high: float


def estimate_share(hits: int, total: int, confidence: float) -> Estimate:
    """
    Return a share with its score interval, which never leaves 0 to 1; `total` is at least 1.

    E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927) 209-212.
    """
    z, share = _quantile(confidence), hits / total
    center = (share + z**2 / (2 * total)) / (1 + z**2 / total)
    half = z / (1 + z**2 / total) * math.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    # At the ends the bound is the share itself, which rounding may miss.
    return Estimate(share, min(share, center - half), max(share, center + half))


def estimate_mean(values: Array, confidence: float) -> Estimate:
    """
    Return a mean with its bootstrap interval (percentiles of the means of rows drawn with replacement).

    B. Efron and R. J. Tibshirani, An Introduction to the Bootstrap (1993), section 13.3.
    """
    random, count = np.random.default_rng(SEED), len(values)
    means = [values[random.integers(count, size=count)].mean() for _ in range(DRAWS)]
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(float(values.mean()), float(low), float(high))


def estimate_gain(lost: int, won: int, total: int, confidence: float) -> Estimate:
    """
    Return by how much the second arm's share of right rows is higher, with its interval.

    Args:
        lost: the rows that only the first arm got right.
        won: the rows that only the second arm got right.
        total: all rows, at least 1.
        confidence: such as 0.95.

    Half a row is added to each of the four cells of the paired table, without which the interval is too short:
    A. Agresti and Y. Min, Simple improved confidence intervals for comparing matched proportions, Statistics in
    Medicine 24 (2005) 729-740.
    """
    b, c, n = lost + 0.5, won + 0.5, total + 2
    center, half = (c - b) / n, _quantile(confidence) * math.sqrt(b + c - (c - b) ** 2 / n) / n
    return Estimate((won - lost) / total, max(-1.0, center - half), min(1.0, center + half))


def mcnemar(lost: int, won: int) -> float:
    """
    Return the two-sided p-value of the rows that only one arm got right: McNemar's test in its exact form.

    Under equal arms each such row is a fair coin's toss, so the p-value is that of the binomial distribution:
    Q. McNemar, Psychometrika 12 (1947) 153-157; exact as in A. Agresti, Categorical Data Analysis (2013), 11.1.2.
    """
    tosses = lost + won
    terms = (
        math.exp(math.lgamma(tosses + 1) - math.lgamma(k + 1) - math.lgamma(tosses - k + 1) - tosses * math.log(2))
        for k in range(min(lost, won) + 1)
    )
    return min(1.0, 2 * math.fsum(terms))


def flip_signs(differences: Array) -> float:
    """
    Return the two-sided p-value of paired differences, by flipping their signs at random.

    Under equal arms each difference could as well have the other sign (R. A. Fisher, The Design of Experiments, 1935,
    section 21). The observed signs count as one of the draws, without which a p-value could be 0: B. Phipson and
    G. K. Smyth, Statistical Applications in Genetics and Molecular Biology 9 (2010) 39.
    """
    random, count = np.random.default_rng(SEED), len(differences)
    observed = abs(differences.sum())
    # A flip that gives the same sum in another order must count, whatever its last digit.
    least = observed * (1 - 1e-12)
    reached = sum(abs((differences * random.choice((-1, 1), size=count)).sum()) >= least for _ in range(DRAWS))
    return float((1 + reached) / (1 + DRAWS))


def detectable_gain(lost: int, won: int, total: int, confidence: float) -> float:
    """
    Return the difference of shares that so many rows would find in 80 of 100 tries.

    (z + z of the power) × √(share of rows that only one arm got right / rows): R. J. Connor, Sample size for testing
    differences in proportions for the paired-sample design, Biometrics 43 (1987) 207-211, without its term in the
    square of the difference, which makes it a little larger. It is at least what the exact test needs at all: all of
    log2(2 / (1 - confidence)) rows in favour of one arm.
    """
    least = math.ceil(math.log2(2 / (1 - confidence))) / total
    return min(1.0, max(least, _both_quantiles(confidence) * math.sqrt((lost + won) / total / total)))


def detectable_mean(differences: Array, confidence: float) -> float:
    """
    Return the mean of paired differences that so many rows would find in 80 of 100 tries.

    (z + z of the power) × standard deviation / √rows: J. Cohen, Statistical Power Analysis (1988), section 2.3.5.
    """
    if len(differences) < 2:
        return math.inf
    return _both_quantiles(confidence) * float(differences.std(ddof=1)) / math.sqrt(len(differences))


def _quantile(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + confidence) / 2)


def _both_quantiles(confidence: float) -> float:
    return _quantile(confidence) + NormalDist().inv_cdf(POWER)
