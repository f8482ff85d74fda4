"""How long a run takes: the bundle's profile, corrected by what runs take on this CPU, and what joining them saves."""

from bisect import bisect_left
from collections.abc import Mapping
from typing import Any, Final

from snooze.bundle.contract import MAX_ROWS

KEEP: Final = 0.9  # of the weight of earlier runs, with each run: the correction follows about ten of them
MAX_SURPRISE: Final = 4.0  # times the predicted seconds that one run may count: a run may be interrupted for long
NEARLY_BEST: Final = 1.1  # times the fewest seconds per row: a smaller size that is as good makes nobody wait longer
MIN_GAIN: Final = 1.3  # times as fast per row: joining and splitting cost, and requests wait for each other


class Cost:
    """
    Predicts the seconds of a run by its rows.

    Without a usable profile it predicts 0 until it has seen a run, and from then on the same for each row.
    """

    __slots__ = ("_correction", "_expected", "_measured", "_points", "known")

    def __init__(self, profile: Mapping[str, Any]) -> None:
        """`profile` is the plain JSON of the bundle: its types are not imported in a server."""
        self._points = _read(profile)
        self.known = bool(self._points)
        self._expected = self._measured = self._points[0][1] if self.known else 0.0
        self._correction = 1.0 if self.known else 0.0

    def predict(self, rows: int) -> float:
        """Return the seconds of a run."""
        return self._correction * self._interpolate(rows)

    def learn(self, rows: int, seconds: float) -> None:
        """Correct the predictions by a run that took `seconds`."""
        expected = self._interpolate(rows)
        if self._correction:
            seconds = min(seconds, MAX_SURPRISE * self._correction * expected)
        self._expected = KEEP * self._expected + expected
        self._measured = KEEP * self._measured + seconds
        self._correction = self._measured / self._expected

    def rows_within(self, seconds: float) -> int:
        """Return the most rows that are predicted to run in less than `seconds`; -1 if not even none are."""
        return bisect_left(range(MAX_ROWS), seconds, key=self.predict) - 1

    def best_rows(self, most: int) -> int:
        """Return how many rows to join in one run, at most `most`; 1 where joining is not worth it."""
        sizes = [(rows, seconds / rows) for rows, seconds in self._points if rows <= most]
        if not sizes or sizes[0][0] != 1:
            return 1
        least = min(seconds for _, seconds in sizes)
        best, seconds = next(size for size in sizes if size[1] <= NEARLY_BEST * least)
        return best if sizes[0][1] >= MIN_GAIN * seconds else 1

    def _interpolate(self, rows: int) -> float:
        """Return the profile's seconds: linear between its sizes, and proportional beyond the last one."""
        previous_rows, previous_seconds = 0, 0.0
        for size, seconds in self._points:
            if rows <= size:
                if not previous_rows:
                    return seconds
                share = (rows - previous_rows) / (size - previous_rows)
                return previous_seconds + share * (seconds - previous_seconds)
            previous_rows, previous_seconds = size, seconds
        return previous_seconds * rows / previous_rows if previous_rows else float(rows)


def _read(profile: Mapping[str, Any]) -> list[tuple[int, float]]:
    """Return (rows, seconds) in ascending order, or nothing if the profile does not say it."""
    try:
        points = sorted((int(run["rows"]), float(run["seconds"])) for run in profile["run"])
    except (KeyError, TypeError, ValueError):
        return []
    return points if all(rows > 0 and seconds > 0 for rows, seconds in points) else []
