"""The two revisions of a Service that are compared, and how each is reached."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from snooze.bundle.errors import InvalidOption
from snooze.client import v2
from snooze.knative.errors import NotReady
from snooze.knative.kubectl import REVISION, Cluster, find_condition
from snooze.knative.rollout.live import LiveService, Target

TAG_HEADER: Final = "Knative-Serving-Tag"


class Arm(NamedTuple):
    """A tagged revision, its share of the Service's requests in percent, and its model."""

    tag: str
    revision: str
    percent: int
    model: v2.ServedModel


def choose(live: LiveService, names: Sequence[str] | None) -> tuple[Target, Target]:
    """
    Return the two targets of the tags or revisions `names`; by default those of the split.

    Raises:
        InvalidOption: the split does not have two revisions, there is no such target, or one has no tag.
        NotReady: the Service asks for such a target, but its revision failed.
    """
    known = {name: target for target in live.targets if target.tag for name in (target.revision, target.tag)}
    split = live.split
    if names is None and len(split) != 2:
        shares = ", ".join(f"{revision} {percent} %" for revision, percent in split.items()) or "no revision yet"
        tags = ", ".join(sorted(target.tag for target in live.targets if target.tag)) or "none"
        problem = f"the requests of {live.name!r} do not go to two revisions but to {shares}"
        raise InvalidOption("--arms", f"{problem}; name two of the tags, or start a split: {tags}")
    first, second = (_find(live, known, name) for name in (names or split))
    if first.revision == second.revision:
        raise InvalidOption("--arms", f"both are revision {first.revision!r}; name two different ones")
    return first, second


def connect(live: LiveService, target: Target, model: str | None, header: bool, seconds: float) -> Arm:
    """
    Return a target as an arm: by the URL of its tag, or by the Service's own URL and the header that names the tag.

    Raises:
        NotReady: the revision failed.
        InvalidOption: the Service has no URL.
        ClientError: it does not answer, or `model` is None and it serves several.
    """
    _check_ready(live.cluster, target.revision)
    url = live.url if header else target.url
    if url is None or target.tag is None:
        raise InvalidOption("NAME", f"{live.name!r} has no URL; see: kubectl describe ksvc {live.name}")
    found = v2.find_model(url, model, None, seconds)
    if header:
        found = found._replace(address=found.address._replace(headers={TAG_HEADER: target.tag}))
    return Arm(target.tag, target.revision, live.split.get(target.revision, 0), found)


def _find(live: LiveService, known: dict[str, Target], name: str) -> Target:
    if (found := known.get(name)) is not None:
        return found
    if name in {target.revision for target in live.targets}:
        remedy = f"kn service update {live.name} --namespace {live.cluster.namespace} --tag {name}=TAG"
        raise InvalidOption("--arms", f"revision {name!r} has no tag, and so no URL of its own; give it one: {remedy}")
    for asked in live.document.get("spec", {}).get("traffic", ()):  # what failed has no place in the status
        if name in (asked.get("tag"), asked.get("revisionName")):
            _check_ready(live.cluster, asked["revisionName"])
    available = ", ".join(sorted(known)) or "none"
    raise InvalidOption(
        "--arms", f"{live.name!r} has no tag or revision {name!r} in its traffic; available: {available}"
    )


def _check_ready(cluster: Cluster, revision: str) -> None:
    found = cluster.get(REVISION, revision) or {}
    condition = find_condition(found, "Ready")
    if condition.get("status") == "False":
        reason = condition.get("message") or condition.get("reason", "unknown")
        raise NotReady(cluster.namespace, revision, " ".join(reason.split()))
