"""
What can keep a benchmark from being a measurement:

* BenchmarkError
  - Unreachable       nobody answers at the address
  - UnknownModel      the server has no such model, or several and none was named
  - NotServed         the server refuses the very request that the load would repeat
  - InvalidData       the rows cannot be read, or do not fit the model's signature
  - InvalidOption     an option's value makes no sense
  - NotMeasurable     there is no such process or cgroup to watch
  - MissingTool       a program or package that the benchmark drives is not installed
  - LoadFailed        the load generator ended without a record
  - StartFailed       a server under comparison did not start
  - WrongAnswer       a server under comparison answers something else than the golden outputs
"""

from collections.abc import Sequence
from pathlib import Path


class BenchmarkError(Exception):
    """A benchmark cannot be run, or what it would measure means nothing."""

    exit_code = 2


class Unreachable(BenchmarkError):
    """Nobody answers at the address."""

    def __init__(self, url: str, problem: str) -> None:
        hint = "; start the server first, for example: snooze serve models" if "refused" in problem else ""
        super().__init__(f"cannot reach {url}: {problem}{hint}")
        self.url = url
        self.problem = problem


class UnknownModel(BenchmarkError):
    """The server has no such model, or several and none was named."""

    def __init__(self, url: str, model: str | None, known: Sequence[str]) -> None:
        wanted = f"no model {model!r}" if model else "not exactly one model"
        there = f"there are: {', '.join(known)}" if known else "it lists none"
        super().__init__(f"{url} serves {wanted}; {there}; choose with --model")
        self.url = url
        self.model = model
        self.known = tuple(known)


class NotServed(BenchmarkError):
    """The server refuses the very request that the load would repeat."""

    def __init__(self, url: str, status: int, answer: str) -> None:
        super().__init__(f"{url} answered {status} to the first request: {answer}")
        self.url = url
        self.status = status
        self.answer = answer


class InvalidData(BenchmarkError):
    """The rows cannot be read, or do not fit the model's signature."""

    def __init__(self, source: str, problem: str) -> None:
        super().__init__(f"{source}: {problem}")
        self.source = source
        self.problem = problem


class InvalidOption(BenchmarkError):
    """An option's value makes no sense."""

    def __init__(self, option: str, value: object, expected: str) -> None:
        super().__init__(f"{option}: expected {expected}, got {value!r}")
        self.option = option
        self.value = value
        self.expected = expected


class NotMeasurable(BenchmarkError):
    """There is no such process or cgroup to watch."""

    def __init__(self, what: str, problem: str) -> None:
        super().__init__(f"cannot measure {what}: {problem}")
        self.what = what
        self.problem = problem


class MissingTool(BenchmarkError):
    """A program or package that the benchmark drives is not installed."""

    def __init__(self, tool: str, command: str) -> None:
        super().__init__(f"'{tool}' is not installed; run: {command}")
        self.tool = tool
        self.command = command


class LoadFailed(BenchmarkError):
    """The load generator ended without a record."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"the load generator failed: {problem}")
        self.problem = problem


class StartFailed(BenchmarkError):
    """A server under comparison did not start."""

    def __init__(self, server: str, problem: str) -> None:
        super().__init__(f"{server} did not start: {problem}")
        self.server = server
        self.problem = problem


class WrongAnswer(BenchmarkError):
    """A server under comparison answers something else than the golden outputs."""

    def __init__(self, server: str, problem: str) -> None:
        super().__init__(f"{server} does not give the bundle's golden output: {problem}")
        self.server = server
        self.problem = problem


def unreadable(path: Path, error: Exception) -> InvalidData:
    """Return the error for a file of rows that cannot be read."""
    return InvalidData(str(path), getattr(error, "strerror", None) or str(error) or type(error).__name__)
