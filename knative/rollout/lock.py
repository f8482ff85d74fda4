"""Take the lock on a Service: for a new rollout, to continue one, or to end one."""

import os
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from snooze.bundle.errors import InvalidOption
from snooze.knative.errors import Conflict
from snooze.knative.kubectl import MIN_SCALE, Cluster
from snooze.knative.rollout.canary import NO_GC, PAUSE_SECONDS, TRIES, Canary
from snooze.knative.rollout.deployment import Deployment
from snooze.knative.rollout.errors import AlreadyServing, Displaced
from snooze.knative.rollout.kn import VISIBILITY
from snooze.knative.rollout.live import LiveService, read
from snooze.knative.rollout.record import Record, Traffic, check_is_free, make_note, read_record
from snooze.knative.rollout.revision import read_revision
from snooze.knative.rollout.traffic import ALL, find_serving, share


def take(cluster: Cluster, deployment: Deployment) -> Canary:
    """
    Hold a Service for a rollout, or to continue the rollout of the same revision that nobody holds.

    Raises:
        UnknownService: there is none.
        RolloutUnderWay: somebody else holds it, or another rollout has not ended.
        AlreadyServing: the deployment's revision gets every request.
        SplitTraffic: several revisions share its requests.
        InvalidOption: the deployment would hide the Service from outside the cluster, or show it there.
        Displaced: it is not as the rollout left it.
    """

    def find_record(live: LiveService) -> Record:
        record = read_record(live)
        _check_visibility(live, deployment)
        if record is None:
            old, new = find_serving(live), deployment.revision
            if old == new:
                raise AlreadyServing(new)
            made = deployment.manifest["spec"]["template"]["metadata"]["annotations"]
            before = {old: read_revision(live.cluster, old).annotations, new: made}
            return start(old, new, live.document["spec"]["traffic"], before)
        check_is_free(record, live.name, datetime.now(UTC), deployment.revision)
        _check_is_as_left(live, record)
        return record

    return hold(cluster, deployment.name, find_record)


def hold(cluster: Cluster, service: str, find_record: Callable[[LiveService], Record]) -> Canary:
    """Make the record that `find_record` returns that of the Service, with this process as its holder."""
    for _ in range(TRIES):
        live = read(cluster, service)
        record = find_record(live).take(_name_process(), datetime.now(UTC))
        try:
            return Canary(live.change(make_note({}, record)), record)
        except Conflict:
            time.sleep(PAUSE_SECONDS)
    raise Displaced(service, "it changes all the time")


def start(old: str, new: str, traffic: Traffic, annotations: Mapping[str, Mapping[str, str]]) -> Record:
    """Return the record of a rollout that begins: the traffic and the revisions' annotations are to be put back."""
    kept = {name: {key: found.get(key) for key in (MIN_SCALE, NO_GC)} for name, found in annotations.items()}
    return Record(old, new, traffic, kept)


def _check_visibility(live: LiveService, deployment: Deployment) -> None:
    """Check what holds for all revisions at once: who reaches the Service."""
    before, after = (one["metadata"].get("labels", {}).get(VISIBILITY) for one in (live.document, deployment.manifest))
    if before != after:
        now = "reached from inside the cluster only" if before else "reached from outside the cluster"
        problem = f"the Service is {now}, and a rollout changes no more than the revision"
        raise InvalidOption("--private", f"{problem}; {'add' if before else 'remove'} the option")


def _check_is_as_left(live: LiveService, record: Record) -> None:
    if record.percent == 0:
        return  # then it begins again, with the template
    percents = {record.old: ALL - record.percent, record.new: record.percent}
    if live.document["spec"]["traffic"] != share(live, percents):
        raise Displaced(live.name, "its traffic is not as the rollout left it")
    if live.document["spec"]["template"]["metadata"].get("name") != record.new:
        raise Displaced(live.name, "its template is not as the rollout left it")


def _name_process() -> str:
    """Return a name for this process that no other has, and that tells people where it runs."""
    return f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(3)}"
