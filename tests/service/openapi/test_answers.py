"""The answers that are drawn fit the schema of the protocol's answers."""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import pytest
from tests.service.openapi.signatures import ANSWERS, NAMES, fits, signature

from snooze.bundle.contract import Tensor
from snooze.service.openapi import plain as plain_schema
from snooze.service.openapi import v1 as v1_schema
from snooze.service.openapi import v2 as v2_schema
from snooze.service.openapi.answers import draw_answer
from snooze.service.protocols import plain, v1, v2

PLAIN: Any = plain
PROTOCOLS = [(plain, plain_schema), (v1, v1_schema), (v2, v2_schema)]


@pytest.mark.parametrize(("codec", "schemas"), PROTOCOLS, ids=["plain", "v1", "v2"])
@pytest.mark.parametrize(("outputs", "labels", "probabilities", "given"), ANSWERS)
def test_a_drawn_answer_fits_the_schema(
    codec: Any,
    schemas: ModuleType,
    outputs: Sequence[Tensor],
    labels: tuple[str, ...] | None,
    probabilities: bool,
    given: Any,
) -> None:
    one = signature(outputs=outputs, labels=labels, probabilities=probabilities)

    answer = draw_answer(codec, one)

    if answer is None:
        assert codec is v1
        assert outputs[-1].shape[0] != -1
    else:
        assert fits(schemas.response(one), answer)
    assert draw_answer(codec, one) == answer


def test_the_highest_score_is_that_of_the_label() -> None:
    outputs = (Tensor("y", "INT64", (-1,), "label"), Tensor("p", "FP32", (-1, 2), "scores"))

    (prediction,) = draw_answer(PLAIN, signature(outputs=outputs, labels=NAMES, probabilities=True))["predictions"]

    assert prediction == {"label": "no", "confidence": 0.7, "probabilities": {"no": 0.7, "yes": 0.3}}


def test_an_answer_that_nobody_would_read_is_not_drawn() -> None:
    assert draw_answer(PLAIN, signature(outputs=(Tensor("y", "FP32", (-1, 5000), "embedding"),))) is None
