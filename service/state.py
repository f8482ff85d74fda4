"""What all endpoints of one application share: settings, metrics, the log, and the state of the process."""

import os
import re
from collections.abc import Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Final

from snooze.service.budget import Budget
from snooze.service.logs import Log
from snooze.service.messages import Headers
from snooze.service.metrics import Metrics, Value
from snooze.service.process.memory import find_budget
from snooze.service.runtime.scheduler import Capacity
from snooze.service.settings import Settings

if TYPE_CHECKING:
    from snooze.service.runtime.adapting import Adapting

MAX_BODY: Final = 64 * 2**20  # bytes, where the budget allows them and no setting says otherwise
COPIES: Final = 4  # the largest body takes a part of the budget, so that it can be received, copied and answered
REQUEST_ID: Final = re.compile(rb"[!-~]{1,128}")
TRACEPARENT: Final = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}[!-~]{0,64}")


class ServerState:
    """
    The shared state of one application.

    `draining` is set when the server stops, `touched` when a request ended (`perf_counter`), and `server_timing` until
    the first prediction is answered. `budget` is what requests may hold together, `max_body` the largest body.
    """

    def __init__(self, settings: Settings, metrics: Metrics, log: Log) -> None:
        self.settings = settings
        self.metrics = metrics
        self.log = log
        self.capacity = Capacity(settings.max_in_flight)
        self.budget = Budget(0)
        self.fit_budget()
        self.max_body = settings.max_body or min(MAX_BODY, self.budget.limit // COPIES)
        self.draining = False
        self.touched = perf_counter()
        self.server_timing: bytes | None = None
        self.gauges: list[Value] = []
        self._adapting: Adapting | None = None
        self._id_prefix = os.urandom(6).hex().encode() + b"-"
        self._ids = 0

    def fit_budget(self) -> None:
        """Give requests the memory that the loaded models leave, together with what they hold now."""
        self.budget.limit = self.settings.memory or find_budget() + self.budget.used

    @property
    def adapting(self) -> "Adapting":
        """The threads in which adapters work that take long."""
        if self._adapting is None:
            from snooze.service.runtime.adapting import Adapting

            self._adapting = Adapting(self.capacity)
        return self._adapting

    @property
    def in_flight(self) -> int:
        """Number of predictions between their complete head and their written answer."""
        return int(sum(gauge.value for gauge in self.gauges))

    def request_id(self, headers: Mapping[bytes, bytes]) -> bytes:
        """Return the client's `X-Request-Id` if it is valid, else a new unique one."""
        if b"x-request-id" in headers and REQUEST_ID.fullmatch(given := headers[b"x-request-id"]):
            return given
        self._ids += 1
        return b"%s%d" % (self._id_prefix, self._ids)

    def common_headers(self, request_id: bytes, headers: Mapping[bytes, bytes]) -> Headers:
        """Return the headers of every response."""
        common = [(b"x-request-id", request_id)]
        trace = headers.get(b"traceparent")
        if trace is not None and TRACEPARENT.fullmatch(trace):
            common.append((b"traceparent", trace))
        if self.draining:
            common.append((b"connection", b"close"))
        return common
