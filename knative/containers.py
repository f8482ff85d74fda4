"""A container: image, port, environment, resources, security."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from snooze.knative.problems import Problem
from snooze.knative.quantities import parse_quantity

RESERVED_VARIABLES: Final = ("PORT", "K_SERVICE", "K_CONFIGURATION", "K_REVISION")
# 8112 is the queue-proxy's too, but the webhook lets it pass.
RESERVED_PORTS: Final = (8008, 8012, 8013, 8022, 8112, 9090, 9091)
PORT_NAMES: Final = ("", "http1", "h2c")
RESERVED_NAME: Final = "queue-proxy"
HIGHEST_ID: Final = 2**31 - 1

# A reference as registries understand it: an optional registry, a repository in lower case, a tag or a digest.
IMAGE: Final = re.compile(
    r"(?:(?:localhost|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+|[A-Za-z0-9.-]+(?=:))(?::\d+)?/)?"
    r"(?=[a-z0-9_./-]{2,255}(?:[:@]|$))[a-z0-9_.-]+(?:/[a-z0-9_.-]+)*"
    r"(?::[A-Za-z0-9_.-]{1,128})?(?:@sha256:[0-9a-f]{64})?"
)


def check_container(container: Mapping[str, Any], sidecar: bool, path: str) -> Iterator[Problem]:
    """Yield what is wrong with a container, its probes and mounts aside."""
    if container.get("name") == RESERVED_NAME:
        yield Problem(f"{path}.name", f"{RESERVED_NAME!r} is Knative's own container", "choose another name")
    yield from _image(container, path)
    for index, port in enumerate(container.get("ports") or []):
        yield from _port(port, f"{path}.ports[{index}]")
    yield from _environment(container, sidecar, path)
    yield from _resources(container.get("resources") or {}, f"{path}.resources")
    yield from _security(container.get("securityContext") or {}, f"{path}.securityContext")


def _image(container: Mapping[str, Any], path: str) -> Iterator[Problem]:
    image = container.get("image") or ""
    if not image:
        yield Problem(f"{path}.image", "is missing", "name the image, such as registry.example.com/tumour:3")
    elif IMAGE.fullmatch(image) is None:
        yield Problem(
            f"{path}.image",
            f"{image!r} is no image reference",
            "write [registry/]repository[:tag][@sha256:...] in lower case",
        )
    elif container.get("imagePullPolicy") == "Always" or (
        "@" not in image and (":" not in image.rsplit("/", 1)[-1] or image.endswith(":latest"))
    ):
        yield Problem(
            f"{path}.image",
            "is pulled again at each cold start",
            "name a digest or a tag other than latest, and leave imagePullPolicy out",
            warning=True,
        )


def _port(port: Mapping[str, Any], path: str) -> Iterator[Problem]:
    number = port.get("containerPort") or 0
    if number in RESERVED_PORTS:
        yield Problem(f"{path}.containerPort", f"{number} is the queue-proxy's", "listen on another, such as 8080")
    elif not 0 <= number <= 65535:
        yield Problem(f"{path}.containerPort", f"expected 0 to 65535, got {number}", "listen on another, such as 8080")
    name = port.get("name") or ""
    if name not in PORT_NAMES:
        yield Problem(f"{path}.name", f"expected none, http1 or h2c, got {name!r}", "remove it")
    if port.get("protocol") not in (None, "", "TCP"):
        yield Problem(f"{path}.protocol", f"expected TCP, got {port['protocol']!r}", "remove it")


def _environment(container: Mapping[str, Any], sidecar: bool, path: str) -> Iterator[Problem]:
    reserved = RESERVED_VARIABLES[1:] if sidecar else RESERVED_VARIABLES
    for index, variable in enumerate(container.get("env") or []):
        name = variable.get("name") or ""
        if not name:
            yield Problem(f"{path}.env[{index}].name", "is missing", "name the variable")
        elif name in reserved:
            yield Problem(f"{path}.env[{index}].name", f"Knative sets {name} itself", "remove it")
    for index, source in enumerate(container.get("envFrom") or []):
        found = [name for name in ("configMapRef", "secretRef") if source.get(name) is not None]
        if len(found) != 1:
            yield Problem(f"{path}.envFrom[{index}]", "needs exactly one of configMapRef, secretRef", "keep or add one")


def _resources(resources: Mapping[str, Any], path: str) -> Iterator[Problem]:
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    for name, request in requests.items():
        wanted, most = parse_quantity(request), parse_quantity(limits.get(name, ""))
        if wanted is not None and most is not None and wanted > most:
            yield Problem(
                f"{path}.requests.{name}",
                f"{request} is more than the limit {limits[name]}; Knative would take it, Kubernetes would not",
                "lower the request or raise the limit",
            )
    cpu = parse_quantity(limits.get("cpu", ""))
    if cpu is not None and cpu < 1:
        yield Problem(
            f"{path}.limits.cpu",
            "below one core each cold start takes longer in proportion",
            "set 1 or more, or none",
            warning=True,
        )


def _security(context: Mapping[str, Any], path: str) -> Iterator[Problem]:
    if context.get("privileged"):
        yield Problem(f"{path}.privileged", "Knative runs no privileged container", "remove it")
    for name in ("runAsUser", "runAsGroup"):
        number = context.get(name)
        if number is not None and not 0 <= number <= HIGHEST_ID:
            yield Problem(f"{path}.{name}", f"expected 0 to {HIGHEST_ID}, got {number}", "choose another")
    yield from _secure_defaults(context, path)


def _secure_defaults(context: Mapping[str, Any], path: str) -> Iterator[Problem]:
    """Knative's own warnings: what Kubernetes leaves open where nothing is said."""
    capabilities = context.get("capabilities") or {}
    said = {
        "runAsNonRoot": context.get("runAsNonRoot") is not None,
        "allowPrivilegeEscalation": context.get("allowPrivilegeEscalation") is not None,
        "seccompProfile": bool((context.get("seccompProfile") or {}).get("type")),
        "capabilities.drop": capabilities.get("drop") is not None,
    }
    for name, is_said in said.items():
        if not is_said:
            yield Problem(f"{path}.{name}", "is not set, and Kubernetes' default is insecure", "set it", warning=True)
    if "all" in (capabilities.get("drop") or []):
        yield Problem(f"{path}.capabilities.drop", "'all' drops nothing", "write ALL", warning=True)
