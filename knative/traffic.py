"""How a Service's requests are split among its revisions."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from snooze.knative.names import DNS_1035
from snooze.knative.problems import Problem


def check_traffic(targets: Sequence[Mapping[str, Any]], service: str, path: str) -> Iterator[Problem]:
    """Yield what is wrong with the traffic of `service`: shares, tags, revisions."""
    tags: set[str] = set()
    for index, target in enumerate(targets):
        here = f"{path}[{index}]"
        percent = target.get("percent") or 0
        if not 0 <= percent <= 100:
            yield Problem(f"{here}.percent", f"expected 0 to 100, got {percent}", "correct it")
        tag = target.get("tag") or ""
        if tag and DNS_1035.fullmatch(tag) is None:
            yield Problem(f"{here}.tag", f"{tag!r} is no DNS-1035 label", "write lower case letters, digits and '-'")
        elif tag in tags:
            yield Problem(f"{here}.tag", f"{tag!r} is used twice", "give each target a tag of its own")
        elif tag and len(f"{tag}-{service}") > 63:
            yield Problem(
                f"{here}.tag", f"{tag}-{service} is longer than the 63 characters of a host's label", "shorten it"
            )
        tags.update([tag] if tag else [])
        yield from _revision(target, service, here)
    total = sum(target.get("percent") or 0 for target in targets)
    if targets and total != 100:
        yield Problem(path, f"the shares add up to {total}, not to 100", "correct the percents")


def _revision(target: Mapping[str, Any], service: str, path: str) -> Iterator[Problem]:
    revision, latest = target.get("revisionName") or "", target.get("latestRevision")
    if revision and latest:
        yield Problem(path, "names a revision and the latest one", "keep revisionName or latestRevision: true")
    elif not revision and latest is False:
        yield Problem(path, "names no revision", "add revisionName, or latestRevision: true")
    elif revision and not revision.startswith(f"{service}-"):
        yield Problem(
            f"{path}.revisionName",
            f"{revision!r} is not a revision of {service!r}",
            f"its revisions begin with {service}-",
        )
