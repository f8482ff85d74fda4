"""
Errors between a bundle, a request and its response. `responses.py` says which HTTP status each `RequestError` becomes.

* ServiceError
  - InvalidSetting           a setting has an invalid value; the server does not start
  - NothingToServe           there is no bundle at the given paths, or one twice
  - InvalidAliases           the file of aliases cannot be read, or one does not fit its model
  - CannotListen             the address is in use or not available
  - UnusableModel            ONNX Runtime cannot load or run the model of an intact bundle
  - GoldenMismatch           a model does not give its golden outputs on this CPU
  - NotEnoughMemory          a model does not fit beside those that are loaded
  - Unloaded                 a client has unloaded the model
  - RequestError             one request is answered with an error
    - InvalidRequest         it does not follow the protocol
    - InvalidTensor          one of its tensors does not fit the model's signature
    - UnknownPath            there is no such path
    - UnknownModel           there is no such model or version
    - NotServed              the report of a model, or an example for it, is not there
    - UnsupportedVerb        a model does not do this
    - MethodNotAllowed       the path needs another method
    - BodyTooLarge           the body exceeds the limit
    - UnsupportedEncoding    the compression of the body is not supported
    - UnsupportedMedia       the model does not take bodies of this media type or character set
    - NotInJson              the response contains NaN or Infinity, but JSON was requested
    - HeadTooLarge           the head has too many bytes or headers
    - RequestTimeout         the rest of the request did not come in time
    - TooManyConnections     as many clients as allowed are connected
    - Overloaded             the server cannot take the request now
    - ModelNotReady          the model exists but cannot answer
    - DeadlineExceeded       the time of the request is over
    - RunFailed              ONNX Runtime failed on an input that fits the signature
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from snooze.bundle.errors import SnoozeError

MAX_LISTED: Final = 5
MAX_SHOWN: Final = 200


class ServiceError(SnoozeError):
    """A bundle cannot be served, or a request cannot be answered."""


class InvalidSetting(ServiceError):
    """A setting has an invalid value."""

    def __init__(self, variable: str, value: str, problem: str) -> None:
        super().__init__(f"{variable}={value!r}: {problem}")
        self.variable = variable
        self.value = value
        self.problem = problem


class NothingToServe(ServiceError):
    """There is no bundle at the given paths, or one twice."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"nothing to serve: {problem}")
        self.problem = problem


class InvalidAliases(ServiceError):
    """The file of aliases cannot be read, or the alias with this path is wrong."""

    def __init__(self, file: Path, problem: str, alias: str | None = None) -> None:
        super().__init__(f"{file}: {problem}" if alias is None else f"{file}: alias {alias!r}: {problem}")
        self.file = file
        self.problem = problem
        self.alias = alias


class CannotListen(ServiceError):
    """The address is in use or not available."""

    def __init__(self, host: str, port: int, problem: str) -> None:
        super().__init__(f"port {port} on {host} {problem}")
        self.host = host
        self.port = port
        self.problem = problem


class UnusableModel(ServiceError):
    """ONNX Runtime cannot load or run the model of an intact bundle."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path} cannot be served: {problem}")
        self.path = path
        self.problem = problem


class GoldenMismatch(ServiceError):
    """A model does not give its golden outputs on this CPU, or its adapter not the golden inputs."""

    exit_code = 1

    def __init__(self, path: Path, output: str, difference: str, side: str = "output") -> None:
        super().__init__(
            f"{path}: {side} '{output}' differs from its golden value on this CPU ({difference}); "
            "convert the model again on such a CPU"
        )
        self.path = path
        self.output = output
        self.difference = difference


class NotEnoughMemory(ServiceError):
    """A model does not fit into the memory limit beside those that are loaded."""

    def __init__(self, path: Path, needed: int, free: int) -> None:
        super().__init__(
            f"{path} needs {_mebibytes(needed)} beside what is loaded, but only {_mebibytes(free)} of the memory limit "
            "are free; raise the limit or unload another model"
        )
        self.path = path
        self.needed = needed
        self.free = free


class Unloaded(ServiceError):
    """A client has unloaded the model."""

    def __init__(self) -> None:
        super().__init__("unloaded")


class RequestError(ServiceError):
    """One request is answered with an error."""


class InvalidRequest(RequestError):
    """The request does not follow the protocol."""


class InvalidTensor(RequestError):
    """A tensor of the request does not fit the model's signature."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"input '{name}': {problem}")
        self.name = name
        self.problem = problem


class UnknownPath(RequestError):
    """There is no such path."""

    def __init__(self, path: str, models: Sequence[str]) -> None:
        listed = ", ".join([*models[:MAX_LISTED], *(["..."] if len(models) > MAX_LISTED else [])])
        super().__init__(f"no path {path[:MAX_SHOWN]!r}; POST /v2/repository/index lists the models: {listed}")
        self.path = path


class UnknownModel(RequestError):
    """There is no such model or version."""

    def __init__(self, wanted: str, known: Iterable[str]) -> None:
        super().__init__(f"no {wanted[:MAX_SHOWN]}; available: {', '.join(known)}")
        self.wanted = wanted


class NotServed(RequestError):
    """Something that other models may have, such as a report, is not there."""

    def __init__(self, what: str, problem: str) -> None:
        super().__init__(f"{what} is not served: {problem}")
        self.what = what
        self.problem = problem


class UnsupportedVerb(RequestError):
    """A model does not do this."""

    def __init__(self, verb: str) -> None:
        super().__init__(f"':{verb[:MAX_SHOWN]}' is not supported; use ':predict'")
        self.verb = verb


class MethodNotAllowed(RequestError):
    """The path needs another method."""

    def __init__(self, method: str, allowed: Sequence[str]) -> None:
        super().__init__(f"{method} is not allowed here; use {' or '.join(allowed)}")
        self.allowed = tuple(allowed)


class BodyTooLarge(RequestError):
    """The body exceeds the limit."""

    def __init__(self, limit: int, what: str = "the body") -> None:
        super().__init__(f"{what} is larger than {limit} bytes; send fewer rows or raise SNOOZE_MAX_BODY")
        self.limit = limit


class HeadTooLarge(RequestError):
    """The head of the request has too many bytes or headers."""

    def __init__(self, size: int, headers: int) -> None:
        super().__init__(f"the head is larger than {size} bytes or has more than {headers} headers")


class RequestTimeout(RequestError):
    """The rest of the request did not come in time. `part` is what was awaited: the head or the body."""

    def __init__(self, part: str, seconds: float) -> None:
        super().__init__(f"the {part} of the request did not come within {seconds:.3g} s")


class TooManyConnections(RequestError):
    """As many clients as allowed are connected."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} clients are connected, the limit of this server; try again later")


class UnsupportedEncoding(RequestError):
    """The compression of the body is not supported."""

    def __init__(self, encoding: str) -> None:
        super().__init__(f"Content-Encoding {encoding[:MAX_SHOWN]!r} is not supported; use gzip, deflate or none")
        self.encoding = encoding


class UnsupportedMedia(RequestError):
    """The model does not take bodies of this media type or character set, but those of the types `taken`."""

    def __init__(self, media: str, model: str, taken: Sequence[str]) -> None:
        super().__init__(
            f"Content-Type {media[:MAX_SHOWN]!r} is not supported by model '{model}'; "
            f"use {' or '.join(taken)}, and UTF-8 for text"
        )
        self.media = media
        self.taken = tuple(taken)


class NotInJson(RequestError):
    """The response contains NaN or Infinity, but JSON was requested. `binary_path` accepts binary data."""

    def __init__(self, output: str, binary_path: str = "") -> None:
        remedy = f"request it from {binary_path} as binary_data" if binary_path else "request it as binary_data"
        super().__init__(f"output '{output}' contains NaN or Infinity, which JSON cannot express; {remedy}")
        self.output = output


class Overloaded(RequestError):
    """The server cannot take this request now, but probably `retry_after` seconds (an integer) later."""

    def __init__(self, problem: str, retry_after: float = 1.0) -> None:
        self.retry_after = max(1, math.ceil(retry_after))
        super().__init__(f"{problem}; try again in {self.retry_after} s")
        self.problem = problem


class ModelNotReady(RequestError):
    """The model exists but cannot answer."""

    def __init__(self, model: str, problem: str) -> None:
        super().__init__(f"model '{model}' is not ready: {problem}")
        self.model = model
        self.problem = problem


class DeadlineExceeded(RequestError):
    """The time of the request is over."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no answer within the {seconds:g} s that the request allows")
        self.seconds = seconds


class RunFailed(RequestError):
    """ONNX Runtime failed on an input that fits the signature."""

    def __init__(self, model: str, problem: str) -> None:
        super().__init__(f"model '{model}' failed: {problem}")
        self.model = model
        self.problem = problem


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"
