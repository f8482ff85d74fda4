"""How many bytes requests and answers may hold together, so that no load takes more memory than the process has."""


class Budget:
    """
    Bytes in use, against a limit: requests that arrive, requests that wait, answers that their clients do not read yet.

    A request that is answered in the turn of the event loop that completed it is only compared with what is left:
    nothing else can take memory meanwhile.
    """

    __slots__ = ("limit", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    @property
    def problem(self) -> str:
        """What a client is told that cannot have what it needs now."""
        return f"the {self.limit} bytes that this server has for requests are in use"

    def has(self, size: int) -> bool:
        """Return whether `size` more bytes fit now."""
        return self.used + size <= self.limit
