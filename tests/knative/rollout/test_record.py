from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from snooze.knative.kubectl import Cluster
from snooze.knative.rollout.errors import InvalidRecord, RolloutUnderWay
from snooze.knative.rollout.live import ROLLOUT, LiveService
from snooze.knative.rollout.record import Record, check_is_free, make_note, read_record

NOW = datetime(2026, 11, 21, 1, 2, 3, tzinfo=UTC)
RECORD = Record("t-v1", "t-v2", [{"revisionName": "t-v1", "percent": 100}], {"t-v1": {"a": None}}, 25).take("me", NOW)


def live(annotation: str | None) -> LiveService:
    annotations = {} if annotation is None else {ROLLOUT: annotation}
    return LiveService(Cluster("models"), {"metadata": {"name": "t", "annotations": annotations}})


def test_a_record_is_read_as_it_was_written() -> None:
    assert read_record(live(RECORD.text)) == RECORD
    assert read_record(live(None)) is None


@pytest.mark.parametrize("text", ["no JSON", "[]", '{"old": "t-v1"}', '{"more": 1}', RECORD._replace(renewed="").text])
def test_an_annotation_of_others_is_an_error(text: str) -> None:
    with pytest.raises(InvalidRecord) as caught:
        read_record(live(text))

    assert caught.value.service == "t"


@pytest.mark.parametrize(
    ("seconds", "holder", "locked"), [(0, "me", True), (59, "me", True), (60, "me", False), (0, None, False)]
)
def test_a_record_is_a_lock_for_a_minute_after_its_renewal(seconds: float, holder: str | None, locked: bool) -> None:
    assert RECORD._replace(holder=holder).is_locked(NOW + timedelta(seconds=seconds)) is locked


def test_the_same_rollout_may_be_continued_when_nobody_holds_it() -> None:
    check_is_free(RECORD, "t", NOW + timedelta(seconds=61), "t-v2")
    check_is_free(RECORD._replace(holder=None), "t", NOW, "t-v2")


@pytest.mark.parametrize(
    ("record", "new", "state"),
    [
        (RECORD, "t-v2", "25 % for t-v2; me was there 0 s ago"),
        (RECORD._replace(holder=None), "t-v3", "25 % for t-v2, stopped"),
        (RECORD._replace(holder=None, held=True), "t-v3", "25 % for t-v2, held"),
    ],
)
def test_no_second_rollout_begins(record: Record, new: str, state: str) -> None:
    with pytest.raises(RolloutUnderWay) as caught:
        check_is_free(record, "t", NOW, new)

    assert f"({state})" in str(caught.value)


def test_a_change_takes_the_record_with_it() -> None:
    change: dict[str, Any] = {"metadata": {"annotations": {"a": "b"}, "labels": {}}, "spec": {}}

    assert make_note(change, RECORD) == {
        "metadata": {"annotations": {"a": "b", ROLLOUT: RECORD.text}, "labels": {}},
        "spec": {},
    }
    assert make_note({}, None) == {"metadata": {"annotations": {ROLLOUT: None}}}
