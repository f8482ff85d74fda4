"""Names that Kubernetes allows, and how a model's name becomes one."""

import re
from typing import Final

from snooze.bundle.errors import InvalidOption

DNS_1035: Final = re.compile(r"[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?")
DNS_1123_LABEL: Final = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
MAX_SERVICE_NAME: Final = 50  # `<tag>-<name>` and `<name>-00001-deployment` are names too, of at most 63 characters


def check_service_name(name: str) -> str:
    """
    Return `name` if a Knative Service can have it.

    Raises:
        InvalidOption: it cannot.
    """
    if len(name) > MAX_SERVICE_NAME:
        problem = f"has {len(name)} characters; at most {MAX_SERVICE_NAME} leave room for revisions and tags"
        raise InvalidOption("--name", f"{name!r} {problem}")
    if DNS_1035.fullmatch(name) is None:
        problem = "must consist of lower-case letters, digits and '-', begin with a letter and not end with '-'"
        raise InvalidOption("--name", f"{name!r} {problem}")
    return name


def from_model(model: str) -> str:
    """
    Return the service name for a model's name: `iris-v2-1` for `Iris_v2.1`.

    Raises:
        InvalidOption: it is too long.
    """
    name = re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")
    return check_service_name(name if name[:1].isalpha() else f"model-{name}")


def label_value(text: str) -> str:
    """Return `text` as the value of a label: at most 63 characters, with '-' for those that a label cannot have."""
    return re.sub(r"[^-A-Za-z0-9_.]+", "-", text)[:63].strip("-_.")
