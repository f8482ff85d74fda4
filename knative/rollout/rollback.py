"""Back to an earlier revision at once."""

from collections.abc import Collection

from snooze.knative.kubectl import Cluster
from snooze.knative.rollout.canary import Canary
from snooze.knative.rollout.errors import NothingToRollBack, RolloutUnderWay, UnknownVersion
from snooze.knative.rollout.live import LiveService
from snooze.knative.rollout.lock import hold, start
from snooze.knative.rollout.record import Record, read_record
from snooze.knative.rollout.revision import REFUSED, VERSION, Revision, list_revisions
from snooze.knative.rollout.traffic import ALL, find_serving, share


def find_version(revisions: list[Revision], version: str, split: Collection[str]) -> str:
    """
    Return the newest revision with a version of the model that no rollout or rollback has turned down, or that name.

    A revision that gets every request already is not looked for; `split` has the names of those that get some.

    Raises:
        UnknownVersion: none that is ready has it.
    """
    ready = [one for one in revisions if one.ready and [one.name] != list(split)]
    good = [one for one in ready if REFUSED not in one.annotations]
    for one in (*good, *ready):
        if version == one.name or (one in good and version == one.annotations.get(VERSION)):
            return one.name
    raise UnknownVersion(version, [one.annotations.get(VERSION, one.name) for one in good])


def find_previous(service: str, revisions: list[Revision], serving: str) -> str:
    """
    Return the newest revision before `serving` that is ready, and that no rollout or rollback has turned down.

    Raises:
        NothingToRollBack: there is none.
    """
    older = revisions[[one.name for one in revisions].index(serving) + 1 :]
    for one in older:
        if one.ready and REFUSED not in one.annotations:
            return one.name
    raise NothingToRollBack(service, f"no revision before {serving} is ready that was not turned down")


def prepare(cluster: Cluster, service: str, version: str | None) -> Canary:
    """
    Hold a Service to bring it back: to where the rollout began that is under way, or to another revision.

    Raises:
        UnknownService: there is none.
        RolloutUnderWay: it began at another version than `version`.
        SplitTraffic: several revisions share its requests, and no version is named.
        UnknownVersion, NothingToRollBack: there is no revision to go back to.
    """

    def find_record(live: LiveService) -> Record:
        record = read_record(live)
        revisions = list_revisions(cluster, service)
        if record is not None:
            if version is not None and version not in _names(revisions, record.old):
                raise RolloutUnderWay(service)
            return record
        if version is None:
            serving = find_serving(live)
            target = find_previous(service, revisions, serving)
        else:
            target = find_version(revisions, version, live.split)
            serving = max((name for name in live.split if name != target), key=live.split.__getitem__)
        before = {one.name: one.annotations for one in revisions if one.name in (target, serving)}
        return start(target, serving, share(live, {target: ALL}, live.split), before)

    return hold(cluster, service, find_record)


def _names(revisions: list[Revision], name: str) -> list[str]:
    """Return what a revision may be called: its name, and the version of its model."""
    return [text for one in revisions if one.name == name for text in (name, one.annotations.get(VERSION)) if text]
