"""
Errors of a client:

* ClientError
  - Unreachable        no connection, or no complete answer in time
  - RequestFailed      the server answered with an error
  - UnexpectedAnswer   the answer does not follow the protocol
  - UnknownModel       the server has no such model, or several and none was named
"""

from collections.abc import Sequence

from snooze.bundle.errors import SnoozeError


class ClientError(SnoozeError):
    """A server does not give the answer that it was asked for."""


class Unreachable(ClientError):
    def __init__(self, url: str, problem: str) -> None:
        hint = "; start the server first, for example: snooze serve models" if "refused" in problem else ""
        super().__init__(f"cannot reach {url}: {problem}{hint}")
        self.url = url
        self.problem = problem


class RequestFailed(ClientError):
    def __init__(self, url: str, status: int, message: str) -> None:
        super().__init__(f"{url} answered {status}: {message}")
        self.url = url
        self.status = status
        self.message = message


class UnexpectedAnswer(ClientError):
    def __init__(self, url: str, problem: str) -> None:
        super().__init__(f"{url}: {problem}; is this a server of the Open Inference protocol?")
        self.url = url
        self.problem = problem


class UnknownModel(ClientError):
    def __init__(self, url: str, model: str | None, known: Sequence[str]) -> None:
        problem = f"has no model {model!r}" if model else "does not serve exactly one model"
        available = f"available: {', '.join(known)}" if known else "it lists none"
        super().__init__(f"{url} {problem}; {available}; choose one with --model")
        self.url = url
        self.model = model
        self.known = tuple(known)
