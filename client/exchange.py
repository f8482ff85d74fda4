"""One HTTP request and its answer, without proxies, redirects or retries."""

import http.client
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from snooze.bundle.errors import InvalidOption
from snooze.client.errors import RequestFailed, UnexpectedAnswer, Unreachable

TIMEOUT_SECONDS: Final = 60.0  # a service that is scaled to zero has to start first
MAX_MESSAGE_LENGTH: Final = 300
HEADER_LENGTH: Final = "Inference-Header-Content-Length"  # the bytes of JSON before binary tensors


class Address(NamedTuple):
    """
    Where a server listens; `prefix` comes before all its paths (mostly empty).

    `headers` go with each request: by them a gateway may choose among the servers behind it.
    """

    host: str
    port: int
    tls: bool
    prefix: str
    headers: Mapping[str, str] = MappingProxyType({})

    @classmethod
    def parse(cls, url: str) -> "Address":
        """Return the address of an http or https URL, or raise InvalidOption; `http://` may be left out."""
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
            tls = {"http": False, "https": True}[parts.scheme]
            if not parts.hostname or parts.query or parts.fragment or any(map(str.isspace, url)):
                raise ValueError
            return cls(parts.hostname, parts.port or (443 if tls else 80), tls, parts.path.rstrip("/"))
        except (ValueError, KeyError):
            problem = f"expected an address such as http://127.0.0.1:8080, got {url!r}"
            raise InvalidOption("URL", problem) from None

    @property
    def authority(self) -> str:
        """The host and port, as in the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The address as a URL without a trailing slash."""
        return f"{'https' if self.tls else 'http'}://{self.authority}{self.prefix}"


class Payload(NamedTuple):
    """A request's body and the headers that describe it."""

    body: bytes
    headers: Mapping[str, str]


class Answer(NamedTuple):
    """A complete HTTP answer. Header names are in lower case."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json_object(self) -> dict[str, Any]:
        """Return the JSON object in the body (before binary tensors), or raise RequestFailed or UnexpectedAnswer."""
        try:
            value = json.loads(self.body[: int(self.headers.get(HEADER_LENGTH.lower(), len(self.body)))])
        except (ValueError, RecursionError):
            value = None
        if self.status != 200:
            message = value.get("error") if isinstance(value, dict) else self.body.decode("utf-8", "replace")
            text = " ".join(str(message).split())[:MAX_MESSAGE_LENGTH]
            raise RequestFailed(self.url, self.status, text or "(no message)")
        if not isinstance(value, dict):
            raise UnexpectedAnswer(self.url, "the answer is not a JSON object")
        return value


def exchange(
    address: Address, method: str, path: str, payload: Payload | None = None, seconds: float = TIMEOUT_SECONDS
) -> Answer:
    """
    Send one request over a connection of its own and return the answer, whatever its status.

    Raises:
        Unreachable: the connection failed, or was silent for `seconds`.
    """
    connect = http.client.HTTPSConnection if address.tls else http.client.HTTPConnection
    connection = connect(address.host, address.port, timeout=seconds)
    body, headers = payload or (None, {})
    try:
        connection.request(method, address.prefix + path, body, {**address.headers, **headers})
        response = connection.getresponse()
        received = {name.lower(): value for name, value in response.getheaders()}
        return Answer(address.url + path, response.status, received, response.read())
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        problem = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise Unreachable(address.url, problem) from None
    finally:
        connection.close()
