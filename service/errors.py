"""
What can go wrong between a bundle, a request and its answer:

* ServiceError
  - InvalidSetting           a setting has a value it cannot have; the start is refused
  - NothingToServe           no bundle where one was said to be
  - CannotListen             the address is taken or not ours
  - MissingServiceExtra      the packages of `snooze[service]` are not installed
  - UnusableModel            a bundle is whole, but ONNX Runtime cannot load or run it
  - GoldenMismatch           a model does not give its golden outputs on this CPU
  - NoAnswer                 a prediction asked of another server did not come back
  - InvalidInput             a file or row given on the command line cannot be read
  - RequestError             one request gets an error instead of an answer
    - InvalidRequest         it is not what the protocol says
    - InvalidTensor          one of its tensors does not fit the model's signature
    - UnknownPath            there is no such path
    - UnknownModel           there is no such model or version
    - MethodNotAllowed       the path is there, but not for this method
    - BodyTooLarge           the body is over the limit
    - UnsupportedEncoding    the body is compressed in a way we do not read
    - NotInJson              the answer holds NaN or Infinity, and JSON was asked for
    - Overloaded             more requests run than are allowed at once
    - ModelNotReady          the model is there but cannot answer
    - DeadlineExceeded       the time that the client gave is over
    - RunFailed              ONNX Runtime refused the input that fitted the signature

Which HTTP status a `RequestError` becomes stands in `responses.py`.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar, Final

SHOWN_MODELS: Final = 5


class ServiceError(Exception):
    """A bundle cannot be served, or a request not be answered."""

    exit_code: ClassVar[int] = 2


class InvalidSetting(ServiceError):
    """A setting has a value it cannot have."""

    def __init__(self, variable: str, value: str, problem: str) -> None:
        super().__init__(f"{variable}={value!r}: {problem}")
        self.variable = variable
        self.value = value
        self.problem = problem


class NothingToServe(ServiceError):
    """There is no bundle where one was said to be."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"nothing to serve: {problem}")
        self.problem = problem


class CannotListen(ServiceError):
    """The address is taken or not ours."""

    def __init__(self, host: str, port: int, problem: str) -> None:
        super().__init__(f"port {port} on {host} {problem}")
        self.host = host
        self.port = port
        self.problem = problem


class MissingServiceExtra(ServiceError):
    """The packages that serving needs are not installed."""

    def __init__(self, package: str) -> None:
        super().__init__(f"{package!r} is not installed; run: pip install 'snooze[service]'")
        self.package = package


class UnusableModel(ServiceError):
    """A bundle is whole, but ONNX Runtime cannot load or run it."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path} cannot be served: {problem}")
        self.path = path
        self.problem = problem


class GoldenMismatch(ServiceError):
    """A model does not give its golden outputs on this CPU."""

    exit_code = 1

    def __init__(self, path: Path, output: str, worst: str) -> None:
        super().__init__(
            f"{path}: output {output!r} is not the golden one on this CPU ({worst}); "
            "convert the model again on such a CPU"
        )
        self.path = path
        self.output = output
        self.worst = worst


class NoAnswer(ServiceError):
    """A prediction asked of another server did not come back."""

    def __init__(self, url: str, problem: str) -> None:
        super().__init__(f"{url}: {problem}")
        self.url = url
        self.problem = problem


class InvalidInput(ServiceError):
    """A file or row given on the command line cannot be read."""

    def __init__(self, what: str, problem: str) -> None:
        super().__init__(f"{what}: {problem}")
        self.what = what
        self.problem = problem


class RequestError(ServiceError):
    """One request gets an error instead of an answer."""


class InvalidRequest(RequestError):
    """The request is not what the protocol says."""


class InvalidTensor(RequestError):
    """A request's tensor does not fit the model's signature."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"input '{name}': {problem}")
        self.name = name
        self.problem = problem


class UnknownPath(RequestError):
    """There is no such path."""

    def __init__(self, path: str, models: Sequence[str]) -> None:
        more = ["..."] if len(models) > SHOWN_MODELS else []
        served = ", ".join([*models[:SHOWN_MODELS], *more])
        super().__init__(f"there is nothing at {path[:200]!r}; POST /v2/repository/index lists the models: {served}")
        self.path = path


class UnknownModel(RequestError):
    """There is no such model or version."""

    def __init__(self, wanted: str, known: Iterable[str]) -> None:
        super().__init__(f"no {wanted[:200]}; there are: {', '.join(known)}")
        self.wanted = wanted


class MethodNotAllowed(RequestError):
    """The path is there, but not for this method."""

    def __init__(self, method: str, allowed: Sequence[str]) -> None:
        super().__init__(f"{method} is not allowed here; allowed: {', '.join(allowed)}")
        self.allowed = tuple(allowed)


class BodyTooLarge(RequestError):
    """The body is over the limit."""

    def __init__(self, limit: int, what: str = "the body") -> None:
        super().__init__(f"{what} is larger than {limit} bytes; send fewer rows or raise SNOOZE_MAX_BODY")
        self.limit = limit


class UnsupportedEncoding(RequestError):
    """The body is compressed in a way we do not read."""

    def __init__(self, encoding: str) -> None:
        super().__init__(f"Content-Encoding {encoding[:40]!r} is not supported; use gzip, deflate or none")
        self.encoding = encoding


class NotInJson(RequestError):
    """The answer holds NaN or Infinity, and JSON was asked for. `elsewhere` is the path that can carry it."""

    def __init__(self, output: str, elsewhere: str = "") -> None:
        remedy = f"ask {elsewhere} for it as binary_data" if elsewhere else "ask for it as binary_data"
        super().__init__(f"output '{output}' holds NaN or Infinity, which JSON cannot carry; {remedy}")
        self.output = output


class Overloaded(RequestError):
    """More requests run than are allowed at once."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} requests run already; try again later")
        self.limit = limit


class ModelNotReady(RequestError):
    """The model is there but cannot answer."""

    def __init__(self, model: str, why: str) -> None:
        super().__init__(f"model '{model}' is not ready: {why}")
        self.model = model
        self.why = why


class DeadlineExceeded(RequestError):
    """The time that the client gave is over."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no answer within the {seconds:g} s that the request allows")
        self.seconds = seconds


class RunFailed(RequestError):
    """ONNX Runtime refused the input that fitted the signature."""

    def __init__(self, model: str, problem: str) -> None:
        super().__init__(f"model '{model}' failed: {problem}")
        self.model = model
        self.problem = problem
