"""
What the tests on a cluster share. `scripts/cluster` makes and runs it all; elsewhere these tests are left out.

Tests run side by side, but for those of the group `alone`, which need both cores or take a part of the cluster away.
What a test reports in `figures` is in the table at the end, and among the properties of the JUnit file.
"""

import fcntl
import os
import uuid
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from tests.cluster.callers import Question, Seen, Tally
from tests.cluster.services import Service

from snooze.knative.kubectl import Cluster

NAMESPACE: Final = os.environ.get("SNOOZE_CLUSTER_NAMESPACE", "")  # set by scripts/cluster only
HERE: Final = Path(__file__).parent
COLUMNS: Final = ("sent", "lost", "failed", "returned")
HEADER: Final = ("test", "seconds", "sent", "lost", "failed", "seconds to return")


class Figures:
    """What a test has counted: requests, and the seconds until a bad version was gone."""

    def __init__(self) -> None:
        self.sent = self.lost = self.failed = 0
        self.returned: float | None = None

    def add(self, seen: Iterable[Seen]) -> None:
        """Count requests. Failed are those with an answer that is not right."""
        tally = Tally(seen)
        self.sent += tally.sent
        self.lost += tally.lost
        self.failed += len(tally.failed) - tally.lost

    def properties(self) -> list[tuple[str, object]]:
        """Return them for the report, those that the test has."""
        found = {"sent": self.sent, "lost": self.lost, "failed": self.failed} if self.sent else {}
        return [*found.items(), *([("returned", f"{self.returned:.1f}")] if self.returned is not None else [])]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not NAMESPACE:
        for item in items:
            if item.path.is_relative_to(HERE):
                item.add_marker(pytest.mark.skip("no cluster: run scripts/cluster, which needs SNOOZE_CLUSTER"))
    items.sort(key=_is_alone)  # at the end, when nobody else has to wait for them


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call" and isinstance(figures := getattr(item, "funcargs", {}).get("figures"), Figures):
        item.user_properties.extend(figures.properties())
        report.user_properties = item.user_properties
    if NAMESPACE and report.skipped and item.path.is_relative_to(HERE):
        report.outcome = "failed"  # there is a cluster, so nothing may be left out
        report.longrepr = f"left out: {report.longrepr}"
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    rows: list[tuple[str, ...]] = [HEADER]
    for report in (one for kind in ("passed", "failed") for one in terminalreporter.stats.get(kind, [])):
        if "tests/cluster" in report.nodeid and report.when == "call":
            found = dict(report.user_properties)
            name = report.nodeid.partition("::")[2].removeprefix("test_")
            figures = (str(found.get(column, "")) for column in COLUMNS)
            rows.append((name if report.passed else f"FAILED {name}", f"{report.duration:.0f}", *figures))
    if len(rows) == 1:
        return
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    terminalreporter.section("on the cluster")
    for first, *rest in rows:
        cells = (cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))
        terminalreporter.write_line("  ".join((first.ljust(widths[0]), *cells)))


@pytest.fixture(autouse=True)
def side_by_side(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let a test of the group `alone` run when no other does."""
    with Path(os.environ["SNOOZE_CLUSTER_LOCK"]).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if _is_alone(request.node) else fcntl.LOCK_SH)
        yield


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    return Cluster(NAMESPACE)


@pytest.fixture(scope="session")
def models() -> Path:
    return Path(os.environ["SNOOZE_CLUSTER_MODELS"])


@pytest.fixture
def service(cluster: Cluster, models: Path, tmp_path: Path) -> Iterator[Service]:
    made = Service(cluster, f"s{uuid.uuid4().hex[:6]}", tmp_path, models, os.environ["SNOOZE_CLUSTER_IMAGES"])
    yield made
    made.delete()


@pytest.fixture(scope="session")
def question(models: Path) -> Question:
    return Question.of(models / "tumour/1")


@pytest.fixture
def figures() -> Figures:
    return Figures()


def _is_alone(item: pytest.Item) -> bool:
    return any(mark.args == ("alone",) for mark in item.iter_markers("xdist_group"))
