"""
The requests of each revision, as a Prometheus has counted them.

It has to add the labels `namespace` and `revision` to what it reads, as the PodMonitor of `snooze deploy` says.
"""

import math
import time
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlencode

from snooze.client.errors import ClientError
from snooze.client.exchange import Address, Payload, exchange
from snooze.knative.kubectl import Object
from snooze.knative.rollout.errors import PrometheusFailed
from snooze.knative.rollout.judging.counts import Counts, Reading

QUERY_SECONDS: Final = 5.0
FAMILIES: Final = (("code", "snooze_requests_total"), ("le", "snooze_request_seconds_bucket"))


class Prometheus:
    """Asks for how much the counters have grown since the step began."""

    def __init__(self, url: str, token: str | None, namespace: str, revisions: Sequence[str]) -> None:
        """Raise InvalidOption if `url` is not one."""
        self._address = Address.parse(url)
        self._token = token
        self._revisions = tuple(revisions)
        self._selector = f'{{namespace="{namespace}",revision=~"{"|".join(revisions)}"}}'
        self._step: int | None = None
        self._began = 0.0

    def read(self, pods: Sequence[Object], step: int) -> Reading:
        """Return what was counted since the first reading of this step, or raise PrometheusFailed."""
        if step != self._step:
            self._step, self._began = step, time.monotonic()
        seconds = max(1, round(time.monotonic() - self._began))
        found: dict[str, dict[tuple[str, str], float]] = {revision: {} for revision in self._revisions}
        for label, family in FAMILIES:
            grown = f"increase({family}{self._selector}[{seconds}s])"
            for labels, value in self._query(f"sum by (revision, {label}) ({grown})"):
                text = labels.get(label, "")
                key = (label, text if label == "code" else str(float(text)))
                found[labels["revision"]][key] = value
        counts = {revision: Counts(samples) for revision, samples in found.items()}
        silent = [revision for revision, samples in found.items() if not samples]
        notes = (f"Prometheus has no figures of {' and '.join(silent)} yet",) if silent else ()
        return Reading(counts, notes, sources=1)

    def _query(self, query: str) -> list[tuple[dict[str, str], float]]:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        payload = Payload(urlencode({"query": query}).encode(), headers)
        try:
            answer = exchange(self._address, "POST", "/api/v1/query", payload, QUERY_SECONDS)
            document = answer.json_object()
            vector = [_read(one) for one in document["data"]["result"]]
        except ClientError as error:
            raise PrometheusFailed(str(error)) from None
        except (KeyError, TypeError, ValueError):
            raise PrometheusFailed(f"{self._address.url} does not answer as a Prometheus does") from None
        return [(labels, value) for labels, value in vector if math.isfinite(value)]


def _read(one: Any) -> tuple[dict[str, str], float]:
    return dict(one["metric"]), float(one["value"][1])


def parse_token(text: str) -> str | None:
    """
    Return a bearer token without the white space around it, None if nothing is left.

    Raises:
        ValueError: it has characters that no header may have. The message does not contain it.
    """
    token = text.strip()
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise ValueError("expected a bearer token: printable ASCII characters without spaces")
    return token or None
