"""A request and its response as the endpoints see them, independent of the transport."""

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from snooze.service.protocols.tensors import Array

Headers: TypeAlias = list[tuple[bytes, bytes]]


class Request(NamedTuple):
    """
    A complete request. Header names are lower case.

    `arrived` is when its head was complete, `began` when the turn of the event loop that read its first byte began to
    read (`perf_counter`): deadlines count from it. `query` is what follows the `?` of the target.
    """

    method: str
    path: str
    headers: dict[bytes, bytes]
    body: bytes
    arrived: float
    began: float
    query: bytes = b""


class Response(NamedTuple):
    """A complete response, all headers included."""

    status: int
    headers: Headers
    body: bytes


class Pending(NamedTuple):
    """A response that is still being made: to be awaited exactly once. Until then the request holds `size` bytes."""

    response: Coroutine[Any, Any, Response]
    size: int


Handler: TypeAlias = Callable[[Request], Response]


class Route(NamedTuple):
    """One path pattern (with `{model}` and `{version}`), its method, and the name of what answers it."""

    method: str
    path: str
    handler: str


class Call:
    """
    A decoded prediction: input arrays by name, and the outputs to return, in this order.

    `binary` says for each output whether it is returned as raw bytes; None means that none is. `timeout` is in
    seconds: 0 means that the client sets no limit, None that it did not say. `classes` says for each output as how many
    classes it is returned, 0 for the output itself; None means that all are returned themselves. `columns` says that
    V1 returns the outputs whole, not row by row. `raw` are the raw rows of which an adapter has yet to make `feeds`;
    of CSV the fields of each column, by its name. `top` is how many classes the plain protocol returns for each row, 0
    for all.
    """

    __slots__ = ("binary", "classes", "columns", "feeds", "id", "outputs", "raw", "timeout", "top")

    def __init__(
        self,
        feeds: "dict[str, Array]",
        outputs: list[str],
        binary: list[bool] | None = None,
        id: str | None = None,
        timeout: float | None = None,
        classes: list[int] | None = None,
        columns: bool = False,
        raw: Any = None,
        top: int = 0,
    ) -> None:
        self.feeds = feeds
        self.outputs = outputs
        self.binary = binary
        self.id = id
        self.timeout = timeout
        self.classes = classes
        self.columns = columns
        self.raw = raw
        self.top = top
