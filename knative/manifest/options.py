"""The options of `snooze deploy` that go into the manifest, checked against Knative's rules."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from snooze.bundle.errors import InvalidOption
from snooze.bundle.units import format_duration
from snooze.knative.manifest.names import DNS_1123_LABEL, check_service_name

USER: Final = 65532
TIMEOUT: Final = 60.0
WINDOW: Final = 60.0
BODY_VARIABLE: Final = "SNOOZE_MAX_BODY"
MAX_INT32: Final = 2**31 - 1
RESERVED_VARIABLES: Final = ("PORT", "K_SERVICE", "K_CONFIGURATION", "K_REVISION")
VARIABLE: Final = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")  # what Kubernetes allows as a variable's name
MIN_WINDOW, MAX_WINDOW = 6, 3600  # Knative's limits
MIN_TIMEOUT: Final = 45  # also the pod's grace period: 30 s for Knative's drain, then the server's own
MAX_TIMEOUT: Final = 600  # max-revision-timeout-seconds of config-defaults

# A reference as registries define it: an optional registry, a repository in lower case, a tag, a digest.
IMAGE: Final = re.compile(
    r"(?:(?:localhost|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+|[A-Za-z0-9.-]+(?=:))(?::\d+)?/)?"
    r"(?=[a-z0-9_./-]{2,255}(?:[:@]|$))[a-z0-9_.-]+(?:/[a-z0-9_.-]+)*"
    r"(?::[A-Za-z0-9_.-]{1,128})?(?:@sha256:[0-9a-f]{64})?"
)


@dataclass(frozen=True, slots=True)
class Options:
    """
    The parts of a manifest that do not follow from the bundle and its size.

    Raises:
        InvalidOption: Knative or Kubernetes would refuse a value.
    """

    image: str
    name: str
    namespace: str = "default"
    min_scale: int = 0
    max_scale: int | None = None  # 0 for no limit; None leaves room for twice the load
    window: float = WINDOW  # seconds
    timeout: float = TIMEOUT  # seconds
    private: bool = False  # hidden from outside the cluster
    environment: Mapping[str, str] = field(default_factory=dict)
    user: int | None = USER  # None leaves the user ID to the cluster
    scratch: bool = False  # an empty volume at /tmp

    def __post_init__(self) -> None:
        if IMAGE.fullmatch(self.image) is None:
            expected = "[registry/]repository[:tag][@sha256:...], the repository in lower case"
            raise InvalidOption("--image", f"expected {expected}, got {self.image!r}")
        check_service_name(self.name)
        if DNS_1123_LABEL.fullmatch(self.namespace) is None:
            expected = "lower-case letters, digits and '-'"
            raise InvalidOption("--namespace", f"expected {expected}, got {self.namespace!r}")
        _check_range("--min-scale", self.min_scale, 0)
        if self.max_scale is not None:
            _check_range("--max-scale", self.max_scale, 0)
            if 0 < self.max_scale < self.min_scale:
                raise InvalidOption("--max-scale", f"{self.max_scale} is less than --min-scale {self.min_scale}")
        _check_seconds("--window", self.window, MIN_WINDOW, MAX_WINDOW)
        _check_seconds("--timeout", self.timeout, MIN_TIMEOUT, MAX_TIMEOUT)
        for name in self.environment:
            _check_variable(name)
        if self.user is not None:
            _check_range("--user", self.user, 1)

    def warnings(self) -> list[str]:
        """Return what Knative accepts but what makes cold starts slow."""
        tag = self.image.rpartition("/")[2].partition(":")[2]
        if "@" in self.image or tag not in ("", "latest"):
            return []
        return [f"--image: {self.image} is pulled again at each cold start; name a digest, or a tag other than latest"]


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


def _check_range(option: str, value: int, least: int) -> None:
    if not least <= value <= MAX_INT32:
        raise InvalidOption(option, f"expected an integer from {least} to {MAX_INT32}, got {value}")


def _check_seconds(option: str, seconds: float, least: int, most: int) -> None:
    if not least <= seconds <= most or seconds != int(seconds):
        raise InvalidOption(option, f"expected {least} to {most} whole seconds, got {format_duration(seconds)}")


def _check_variable(name: str) -> None:
    if name in RESERVED_VARIABLES:
        raise InvalidOption("--env", f"Knative sets {name} itself; remove it")
    if name == BODY_VARIABLE:
        raise InvalidOption("--env", f"the memory limit depends on {name}; set it with --max-body")
