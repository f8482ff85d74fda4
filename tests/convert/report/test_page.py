from html.parser import HTMLParser
from typing import Any

import pytest

from snooze.bundle.codec import document
from snooze.bundle.contract import Bundle, Tensor, Tolerance
from snooze.bundle.evidence import (
    AdapterParity,
    Column,
    Differences,
    Evaluation,
    FailedAttempt,
    InputStatistics,
    Losses,
    Variant,
    read_evidence,
)
from snooze.convert import Converted
from snooze.convert.report.page import render

pytestmark = [pytest.mark.framework, pytest.mark.process]

EVIL = "<script>alert('x')</script>\"&"


class Reader(HTMLParser):
    """Collects what a browser would see, and checks that every element is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_verdict_comes_first(tumour: Converted) -> None:
    text = Reader(tumour.report.read_text("utf-8")).text

    assert text.index("Answers as the original does") < text.index("Parity with the original")
    assert "Served as fp32" in text
    assert "before, " in text
    assert "nothing to quantize" in text
    assert "malignant, benign" in text
    assert "snooze convert tumour.joblib --name tumour" in text


def test_needs_nothing_from_the_network(tumour: Converted) -> None:
    page = tumour.report.read_text("utf-8")

    elements = Reader(page).elements

    assert not {"script", "link", "img", "iframe", "object"} & {tag for tag, _ in elements}
    assert not {"src", "href"} & {name for _, attributes in elements for name in attributes}
    assert "default-src 'none'" in page


def with_evidence(bundle: Bundle, **changes: Any) -> Bundle:
    return bundle._replace(evidence=document(read_evidence(bundle)._replace(**changes)))


def poison(bundle: Bundle) -> Bundle:
    """Return the bundle with markup wherever a model, a file or a command line could have put it."""
    tensor = Tensor(EVIL, "FP32", (-1, 1), "value")
    evidence = read_evidence(bundle)
    parity = evidence.parity._replace(
        attempt=EVIL,
        failed=(FailedAttempt(EVIL, EVIL),),
        edges_refused=(EVIL,),
        missing="differs",
        tolerance={EVIL: Tolerance(exact=True)},
        served=evidence.parity.edges,
    )
    poisoned = with_evidence(
        bundle,
        parity=parity,
        candidates=tuple(one._replace(name=EVIL, reason=EVIL) for one in evidence.candidates),
        chosen=EVIL,
        statistics={EVIL: InputStatistics(1, (Column(EVIL, None, None, None, None, 0),))},
        notes=(EVIL,),
        variants=(Variant(EVIL, "all", agrees=False, chosen=False),),
    )
    return poisoned._replace(
        name=EVIL,
        created=EVIL,
        task=EVIL,  # type: ignore[arg-type]
        labels=(EVIL,),
        inputs=(tensor,),
        outputs=(tensor,),
        source=bundle.source._replace(framework=EVIL, framework_version=EVIL, file=EVIL, git=EVIL, command=EVIL),
        profile={**bundle.profile, "cpu": EVIL},
    )


def test_escapes_all_text_from_outside(tumour: Converted) -> None:
    page = render(poison(tumour.bundle))

    reader = Reader(page)
    assert "<script" not in page
    assert reader.text.count(EVIL) > 20
    assert {tag for tag, _ in reader.elements} == {tag for tag, _ in Reader(render(tumour.bundle)).elements}


def test_shows_what_the_adapter_does_and_how_raw_rows_compared(tumour: Converted) -> None:
    found = AdapterParity("pandas & the pipeline", Differences(1_234, 0.5, 0, 0, 0))
    bundle = tumour.bundle._replace(adapter={"kind": "text", "input": "<b>"})

    text = Reader(render(with_evidence(bundle, adapter=document(found)))).text

    assert '"input": "<b>"' in text
    assert "compared with pandas & the pipeline" in text
    assert "1,234" in text or "1234" in text
    assert "no raw ones were compared" in Reader(render(bundle)).text


def test_says_that_rows_were_drawn(tumour: Converted) -> None:
    bundle = with_evidence(tumour.bundle, data="synthetic", evaluation=None)

    assert "Without real rows" in Reader(render(bundle)).text


def test_shows_how_an_attempt_that_failed_compared(tumour: Converted) -> None:
    parity = read_evidence(tumour.bundle).parity
    failed = (
        FailedAttempt("single precision", "no", Differences(4_000, 0.25, 807, 103, 0)),
        FailedAttempt("exact", "no"),
    )

    text = Reader(render(with_evidence(tumour.bundle, parity=parity._replace(failed=failed)))).text

    assert "single precision" in text
    assert "807" in text


def test_shows_the_score_and_which_way_labels_flipped(tumour: Converted) -> None:
    losses = Losses(rows=300, score=0.9, drop=0.1, flips=0.2, right_to_wrong=3, wrong_to_right=1)
    candidate = read_evidence(tumour.bundle).candidates[0]._replace(seconds=1e-5, speedup=1.5, selection=losses)
    score = Evaluation("accuracy", before=0.91, after=0.92, rows=50)

    text = Reader(render(with_evidence(tumour.bundle, candidates=(candidate,), evaluation=score))).text

    assert "accuracy 0.9100 before, 0.9200 as served, on 50 rows" in text
    assert "right to wrong" in text
    assert "1.50 ×" in text
    assert "10 µs" in text
