"""The options of `snooze deploy` that go into the manifest, checked against Knative's and Kubernetes' rules."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from snooze.bundle.errors import InvalidOption
from snooze.bundle.units import format_duration
from snooze.knative.manifest.names import DNS_1123_LABEL, DNS_1123_SUBDOMAIN, check_service_name
from snooze.knative.manifest.quantities import parse_cpu, parse_memory

USER: Final = 65532
TIMEOUT: Final = 60.0
WINDOW: Final = 60.0
BODY_VARIABLE: Final = "SNOOZE_MAX_BODY"
MAX_INT32: Final = 2**31 - 1
MAX_CONCURRENCY: Final = 1000  # container-concurrency-max-limit of config-defaults
RESERVED_VARIABLES: Final = ("PORT", "K_SERVICE", "K_CONFIGURATION", "K_REVISION")
VARIABLE: Final = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")  # what Kubernetes allows as a variable's name
MIN_WINDOW, MAX_WINDOW = 6, 3600  # Knative's limits
MAX_RETENTION: Final = 3600
MIN_TIMEOUT: Final = 45  # also the pod's grace period: 30 s for Knative's drain, then the server's own
MAX_TIMEOUT: Final = 600  # max-revision-timeout-seconds of config-defaults
MAX_START: Final = 3600
MIN_MEMORY: Final = 6 * 2**20  # container runtimes refuse a lower limit

# A reference as registries define it: an optional registry, a repository in lower case, a tag, a digest.
IMAGE: Final = re.compile(
    r"(?:(?:localhost|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+|[A-Za-z0-9.-]+(?=:))(?::\d+)?/)?"
    r"(?=[a-z0-9_./-]{2,255}(?:[:@]|$))[a-z0-9_.-]+(?:/[a-z0-9_.-]+)*"
    r"(?::[A-Za-z0-9_.-]{1,128})?(?:@sha256:[0-9a-f]{64})?"
)


@dataclass(frozen=True, slots=True)
class Options:
    """
    The parts of a manifest that do not follow from the bundle and its size, and those that replace what does.

    Raises:
        InvalidOption: Knative or Kubernetes would refuse a value.
    """

    image: str
    name: str
    namespace: str = "default"
    min_scale: int = 0
    max_scale: int | None = None  # 0 for no limit; None leaves room for twice the load
    window: float = WINDOW  # seconds
    retention: float = 0.0  # seconds
    timeout: float = TIMEOUT  # seconds
    start_timeout: float | None = None  # seconds; None is calculated from the profile
    private: bool = False  # hidden from outside the cluster
    environment: Mapping[str, str] = field(default_factory=dict)
    user: int | None = USER  # None leaves the user ID to the cluster
    scratch: bool = False  # an empty volume at /tmp
    pull_secret: tuple[str, ...] = ()
    service_account: str | None = None
    # In place of the figures of the size; None keeps the size's own. CPU and memory in Kubernetes' notation.
    cpu_request: str | None = None
    cpu_limit: str | None = None
    memory_request: str | None = None
    memory_limit: str | None = None
    concurrency: int | None = None
    target: int | None = None
    burst_capacity: int | None = None

    def __post_init__(self) -> None:
        self._check_names()
        self._check_scaling()
        self._check_resources()
        for name in self.environment:
            _check_variable(name)
        if self.user is not None:
            _check_range("--user", self.user, 1)

    def _check_names(self) -> None:
        if IMAGE.fullmatch(self.image) is None:
            expected = "[registry/]repository[:tag][@sha256:...], the repository in lower case"
            raise InvalidOption("--image", f"expected {expected}, got {self.image!r}")
        check_service_name(self.name)
        if DNS_1123_LABEL.fullmatch(self.namespace) is None:
            expected = "lower-case letters, digits and '-'"
            raise InvalidOption("--namespace", f"expected {expected}, got {self.namespace!r}")
        for option, names in (("--pull-secret", self.pull_secret), ("--service-account", [self.service_account])):
            for name in names:
                if name is not None and DNS_1123_SUBDOMAIN.fullmatch(name) is None:
                    expected = "lower-case letters, digits, '-' and '.'"
                    raise InvalidOption(option, f"expected {expected}, got {name!r}")
        if len(set(self.pull_secret)) < len(self.pull_secret):
            raise InvalidOption("--pull-secret", "a name is given twice")

    def _check_scaling(self) -> None:
        _check_range("--min-scale", self.min_scale, 0)
        if self.max_scale is not None:
            _check_range("--max-scale", self.max_scale, 0)
            if 0 < self.max_scale < self.min_scale:
                raise InvalidOption("--max-scale", f"{self.max_scale} is less than --min-scale {self.min_scale}")
        _check_seconds("--window", self.window, MIN_WINDOW, MAX_WINDOW)
        _check_seconds("--retention", self.retention, 0, MAX_RETENTION)
        _check_seconds("--timeout", self.timeout, MIN_TIMEOUT, MAX_TIMEOUT)
        if self.start_timeout is not None:
            _check_seconds("--start-timeout", self.start_timeout, 1, MAX_START)
        if self.concurrency is not None:
            _check_range("--concurrency", self.concurrency, 0, MAX_CONCURRENCY)
        if self.target is not None:
            _check_range("--target", self.target, 1)
            if self.concurrency and self.target > self.concurrency:
                raise InvalidOption("--target", f"{self.target} is more than --concurrency {self.concurrency}")
        if self.burst_capacity is not None:
            _check_range("--burst-capacity", self.burst_capacity, -1)

    def _check_resources(self) -> None:
        for resource, parse in (("cpu", parse_cpu), ("memory", parse_memory)):
            given: dict[str, float] = {}
            for bound in ("request", "limit"):
                text = getattr(self, f"{resource}_{bound}")
                if text is not None:
                    try:
                        given[bound] = parse(text)
                    except ValueError as error:
                        raise InvalidOption(f"--{resource}-{bound}", str(error)) from None
            if len(given) == 2 and given["request"] > given["limit"]:
                limit = getattr(self, f"{resource}_limit")
                problem = f"{getattr(self, f'{resource}_request')} is more than --{resource}-limit {limit}"
                raise InvalidOption(f"--{resource}-request", problem)
        if self.memory_limit is not None and parse_memory(self.memory_limit) < MIN_MEMORY:
            raise InvalidOption("--memory-limit", f"expected at least 6Mi, got {self.memory_limit}")

    def warnings(self) -> list[str]:
        """Return what Knative accepts but what somebody may regret."""
        if "@" in self.image:
            return []
        moved = "its tag may name another image later, and the same manifest then makes no new revision"
        return [f"--image: {self.image} has no digest: {moved}; name a digest, or let --pin find it"]


def parse_environment(entries: Iterable[str]) -> dict[str, str]:
    """
    Return the variables of `NAME=VALUE` entries.

    Raises:
        InvalidOption: an entry has another form.
    """
    environment = {}
    for entry in entries:
        name, equals, value = entry.partition("=")
        if not equals or not VARIABLE.fullmatch(name):
            raise InvalidOption("--env", f"expected NAME=VALUE, got {entry!r}")
        environment[name] = value
    return environment


def _check_range(option: str, value: int, least: int, most: int = MAX_INT32) -> None:
    if not least <= value <= most:
        raise InvalidOption(option, f"expected an integer from {least} to {most}, got {value}")


def _check_seconds(option: str, seconds: float, least: int, most: int) -> None:
    if not least <= seconds <= most or seconds != int(seconds):
        raise InvalidOption(option, f"expected {least} to {most} whole seconds, got {format_duration(seconds)}")


def _check_variable(name: str) -> None:
    if name in RESERVED_VARIABLES:
        raise InvalidOption("--env", f"Knative sets {name} itself; remove it")
    if name == BODY_VARIABLE:
        raise InvalidOption("--env", f"the memory limit depends on {name}; set it with --max-body")
