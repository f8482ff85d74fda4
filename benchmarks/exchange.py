"""One HTTP request and its answer, without proxies, redirects or retries: what was measured is what was sent."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from snooze.benchmarks.errors import InvalidOption, Unreachable

PATIENCE_SECONDS: Final = 60.0  # a service at zero has to wake first
MOST_ERROR_LETTERS: Final = 300


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens: http or https, host, port, and the path that all its paths begin with ("" mostly)."""

    host: str
    port: int
    tls: bool
    prefix: str

    @classmethod
    def parse(cls, url: str) -> "Address":
        """
        Return the address that `url` names.

        Raises:
            InvalidOption: it is not an http or https URL.
        """
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
            port = parts.port
        except ValueError:
            raise InvalidOption("URL", url, "an address like http://127.0.0.1:8080") from None
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise InvalidOption("URL", url, "an address like http://127.0.0.1:8080")
        tls = parts.scheme == "https"
        return cls(parts.hostname, port or (443 if tls else 80), tls, parts.path.rstrip("/"))

    @property
    def authority(self) -> str:
        """The host and port as the Host header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The address as a URL, without a trailing slash."""
        return f"{'https' if self.tls else 'http'}://{self.authority}{self.prefix}"


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete HTTP answer. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON, or None if it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def error(self) -> str:
        """Return the message of an answer that is an error, short and on one line."""
        value = self.json()
        text = value.get("error") if isinstance(value, dict) else None
        whole = text if isinstance(text, str) else self.body.decode("utf-8", "replace")
        return " ".join(whole.split())[:MOST_ERROR_LETTERS] or "(no message)"


def exchange(
    address: Address, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """
    Send one request over a connection of its own and return the answer, whatever its status.

    Raises:
        Unreachable: there was no complete answer within a minute.
    """
    make = http.client.HTTPSConnection if address.tls else http.client.HTTPConnection
    connection = make(address.host, address.port, timeout=PATIENCE_SECONDS)
    try:
        connection.request(method, address.prefix + path, body, dict(headers or {}))
        response = connection.getresponse()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
    except (OSError, http.client.HTTPException) as error:
        problem = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise Unreachable(address.url, problem) from None
    finally:
        connection.close()
