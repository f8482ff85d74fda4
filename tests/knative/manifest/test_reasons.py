from typing import Any

import pytest
import yaml
from tests.knative.bundles import a_bundle, size_of

from snooze.bundle.contract import Bundle
from snooze.knative.manifest import document
from snooze.knative.manifest.figures import override
from snooze.knative.manifest.options import Options
from snooze.knative.manifest.reasons import FIELDS, explain
from snooze.knative.manifest.service import build

GIVEN: dict[str, Any] = {
    "cpu_request": "2",
    "cpu_limit": "3",
    "memory_request": "1Gi",
    "memory_limit": "2Gi",
    "concurrency": 7,
    "target": 6,
    "burst_capacity": 50,
    "start_timeout": 100.0,
}


def write(bundle: Bundle, p99: float | None = None, **changes: Any) -> tuple[str, int]:
    """Return a manifest's text and the number of lines that its reasons take."""
    options = Options("registry.example.com/tumour:3", "tumour", environment={"A": "1e3"}, **changes)
    needed = override(size_of(bundle, 50, p99), options)
    manifest = build(bundle, "sha256:" + "12e4" * 16, needed, options)
    reasons = explain(needed, options)
    text = document.write(manifest, reasons)
    assert yaml.safe_load(text) == manifest
    return text, sum(len(reason.splitlines()) for reason in reasons.values())


@pytest.mark.parametrize(
    ("bundle", "p99"), [(a_bundle(), None), (a_bundle((1, 0.05)), 0.16), (a_bundle((1, 0.05)), None)]
)
@pytest.mark.parametrize("changes", [{}, {"scratch": True, "retention": 60.0}, GIVEN], ids=["plain", "more", "given"])
def test_every_reason_belongs_to_a_field(bundle: Bundle, p99: float | None, changes: dict[str, Any]) -> None:
    text, lines = write(bundle, p99, **changes)

    assert text.count("# ") == 1 + lines


def test_every_figure_can_be_given_and_says_so() -> None:
    assert set(FIELDS) == set(GIVEN)
    assert write(a_bundle())[0].count("# As given.") == 0
    assert write(a_bundle(), **GIVEN)[0].count("# As given.") == len(GIVEN)
