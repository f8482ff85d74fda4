"""
Errors that keep a benchmark from measuring:

* BenchmarkError
  - NotMeasurable     a process, cgroup or core to measure with does not exist
  - MissingProgram    a program that the benchmark runs is not installed
  - LoadFailed        the load generator ended without a record
  - NotConverted      a model to measure with was not converted
  - StartFailed       a server did not start
  - WrongAnswer       a server's answer differs from the golden outputs
"""

from snooze.bundle.errors import SnoozeError


class BenchmarkError(SnoozeError):
    """A benchmark cannot run, or its result would be meaningless."""


class NotMeasurable(BenchmarkError):
    def __init__(self, what: str, problem: str) -> None:
        super().__init__(f"cannot measure {what}: {problem}")
        self.what = what
        self.problem = problem


class MissingProgram(BenchmarkError):
    def __init__(self, program: str, command: str) -> None:
        super().__init__(f"'{program}' is not installed; run: {command}")
        self.program = program
        self.command = command


class LoadFailed(BenchmarkError):
    def __init__(self, problem: str) -> None:
        super().__init__(f"the load generator failed: {problem}")
        self.problem = problem


class NotConverted(BenchmarkError):
    def __init__(self, model: str, problem: str) -> None:
        super().__init__(f"the model {model!r} was not converted: {problem}")
        self.model = model
        self.problem = problem


class StartFailed(BenchmarkError):
    def __init__(self, server: str, problem: str) -> None:
        super().__init__(f"{server} did not start: {problem}")
        self.server = server
        self.problem = problem


class WrongAnswer(BenchmarkError):
    exit_code = 1

    def __init__(self, server: str, problem: str) -> None:
        super().__init__(f"{server} does not return the bundle's golden outputs: {problem}")
        self.server = server
        self.problem = problem
