"""Kubernetes' names: which are legal, and how a model's name becomes one."""

import re
from typing import Final

from snooze.knative.errors import InvalidName

DNS_1035: Final = re.compile(r"[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?")
DNS_1123_LABEL: Final = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
DNS_1123_SUBDOMAIN: Final = re.compile(
    r"(?=.{1,253}$)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*"
)
QUALIFIED_NAME: Final = re.compile(
    r"(?:(?=[^/]{1,253}/)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*/)?"
    r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
)
LABEL_VALUE: Final = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
LONGEST: Final = 50  # `<tag>-<name>` and `<name>-00001-deployment` become labels and names too, of at most 63


def service_name(name: str) -> str:
    """
    Return a legal name of a Knative Service.

    Raises:
        InvalidName: says what is not legal.
    """
    if len(name) > LONGEST:
        raise InvalidName(name, f"has {len(name)} characters, at most {LONGEST} leave room for revisions and tags")
    if DNS_1035.fullmatch(name) is None:
        raise InvalidName(name, "must be lower case letters, digits and '-', begin with a letter, end without '-'")
    return name


def from_model(model: str) -> str:
    """Return the service name that follows from a model's: `Iris_v2.1` becomes `iris-v2-1`."""
    name = re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")
    return service_name(name if name[:1].isalpha() else f"model-{name}")


def label_value(text: str) -> str:
    """Return `text` as a label's value: cut to 63 characters, and without what no label may hold."""
    value = re.sub(r"[^-A-Za-z0-9_.]+", "-", text)[:63]
    return value.strip("-_.")
