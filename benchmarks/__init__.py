"""Load tests, cold starts and throughput of a running service, and predictions checked against what was measured."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snooze.benchmarks.errors import BenchmarkError
    from snooze.benchmarks.load import run
    from snooze.benchmarks.report import LoadReport

_HOMES = {"BenchmarkError": "errors", "LoadReport": "report", "run": "load"}

__all__ = ["BenchmarkError", "LoadReport", "run"]


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: the command's help needs none of it."""
    from importlib import import_module

    if name in _HOMES:
        return getattr(import_module(f"snooze.benchmarks.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'snooze.benchmarks' has no attribute {name!r}")
