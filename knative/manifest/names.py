"""
Names that Kubernetes allows, and those that Snooze gives: of a service, of its revisions, and of their tags.

A revision is `<service>-<tag>`, and is reached at `<tag>-<service>.<namespace>.<domain>`; both are one label of DNS.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from snooze.bundle.errors import InvalidOption

MAX_LABEL: Final = 63
DNS_1035: Final = re.compile(r"[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?")
DNS_1123_LABEL: Final = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
DNS_1123_SUBDOMAIN: Final = re.compile(rf"(?=.{{1,253}}$){DNS_1123_LABEL.pattern}(?:\.{DNS_1123_LABEL.pattern})*")
MAX_SERVICE_NAME: Final = 50  # leaves room for `-v<version>-<hash>`, with versions of up to four digits
HASH_DIGITS: Final = 6


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


def tag_of(version: int, template: Mapping[str, Any]) -> str:
    """
    Return the tag of a revision: `v3-a1b2c3` for version 3 of the model.

    The hash is that of the template without a name, so that another configuration of the same version is another
    revision, and the same configuration is the same one.
    """
    nameless = {**template, "metadata": {key: part for key, part in template["metadata"].items() if key != "name"}}
    canonical = json.dumps(nameless, sort_keys=True, separators=(",", ":"))
    return f"v{version}-{hashlib.sha256(canonical.encode()).hexdigest()[:HASH_DIGITS]}"


def revision_of(service: str, tag: str) -> str:
    """
    Return the name of the revision that has the tag.

    Raises:
        InvalidOption: the service's name is too long for it.
    """
    revision = f"{service}-{tag}"
    if len(revision) > MAX_LABEL:
        most = MAX_LABEL - len(tag) - 1
        problem = f"has {len(service)} characters; for the revision {revision} at most {most} are possible"
        raise InvalidOption("--name", f"{service!r} {problem}")
    return revision


def label_value(text: str) -> str:
    """Return `text` as the value of a label: at most 63 characters, with '-' for those that a label cannot have."""
    return re.sub(r"[^-A-Za-z0-9_.]+", "-", text)[:MAX_LABEL].strip("-_.")
