from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snooze.bundle.codec import decode, document, encode
from snooze.bundle.contract import Bundle
from snooze.bundle.errors import InvalidContract
from snooze.bundle.evidence import Evidence, Memory, Profile, Run, read_evidence, read_profile


@given(st.data())
def test_evidence_and_profile_are_read_as_they_were_written(
    bundles: st.SearchStrategy[Bundle], data: st.DataObject
) -> None:
    bundle = data.draw(bundles)
    read = decode(encode(bundle))

    assert document(read_evidence(read)).items() <= bundle.evidence.items()
    assert document(read_profile(read)).items() <= bundle.profile.items()


def test_values_are_typed(contract: Bundle) -> None:
    evidence, profile = read_evidence(contract), read_profile(contract)

    assert isinstance(evidence, Evidence)
    assert evidence.parity.data.worst == 3.1e-07
    assert evidence.parity.tolerance["label"].exact
    assert evidence.parity.served is None
    assert [candidate.name for candidate in evidence.candidates] == ["fp32", "int8"]
    assert evidence.statistics["features"].columns[0].name == "radius"
    assert isinstance(profile, Profile)
    assert profile.run[1] == Run(64, 9e-05, 2e-06, 9.1e-05)
    assert profile.memory.session == Memory(3 * 2**20, 3 * 2**21, 3 * 2**22)


@pytest.mark.parametrize(
    ("read", "changes", "field"),
    [
        (read_evidence, {"evidence": {}}, "evidence.data"),
        (read_evidence, {"evidence": {"data": "some"}}, "evidence.data"),
        (read_evidence, {"evidence": {"data": "given", "parity": {}}}, "evidence.parity.attempt"),
        (read_profile, {"profile": {"cpu": "EPYC", "run": [{"rows": 0}]}}, "profile.run[0].rows"),
        (read_profile, {"profile": {"cpu": "EPYC", "run": 3}}, "profile.run"),
    ],
)
def test_names_the_field_that_does_not_fit(
    contract: Bundle, read: Callable[[Bundle], Any], changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidContract) as caught:
        read(contract._replace(**changes))

    assert caught.value.field == field
