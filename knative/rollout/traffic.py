"""`spec.traffic` of a Service: two revisions by name, and the tags of others, which stay where they are."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from snooze.knative.manifest.names import DNS_1035
from snooze.knative.rollout.deployment import target_entry
from snooze.knative.rollout.errors import SplitTraffic
from snooze.knative.rollout.live import LiveService

ALL: Final = 100


def find_serving(live: LiveService) -> str:
    """
    Return the revision that gets every request.

    Raises:
        SplitTraffic: several share them, or none is known yet.
    """
    if list(live.split.values()) != [ALL]:
        raise SplitTraffic(live.name, live.split)
    return next(iter(live.split))


def make_tag(service: str, revision: str) -> str:
    """Return the tag of a revision: the part of its name that is its own, `v3-1f00ab`; `r00001` for `00001`."""
    own = revision.removeprefix(f"{service}-")
    return own if DNS_1035.fullmatch(own) else f"r{own}"


def share(live: LiveService, percents: Mapping[str, int], left: Collection[str] = ()) -> list[dict[str, Any]]:
    """
    Return the traffic with `percents` by revision, each with its tag.

    Tags that others have set keep their revisions, and get no requests. The revisions in `left` lose their own tags.
    """
    own = {make_tag(live.name, revision) for revision in (*percents, *left)}
    others = [target_entry(one.revision, 0, one.tag) for one in live.targets if one.tag and one.tag not in own]
    return [target_entry(name, percent, make_tag(live.name, name)) for name, percent in percents.items()] + others
