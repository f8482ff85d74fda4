from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

from snooze.bundle import Bundle, Tensor
from snooze.convert import Converted
from snooze.convert.report.page import written

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


def test_needs_nothing_from_anywhere(tumour: Converted) -> None:
    page = tumour.report.read_text("utf-8")

    elements = Reader(page).elements

    assert not {"script", "link", "img", "iframe", "object"} & {tag for tag, _ in elements}
    assert not {"src", "href"} & {name for _, attributes in elements for name in attributes}
    assert "default-src 'none'" in page


def poisoned(bundle: Bundle) -> Bundle:
    """Return the bundle with markup wherever a model, a file or a command line could have put it."""
    tensor = Tensor(EVIL, "FP32", (-1, 1), "value")
    statistics = {
        EVIL: {"rows": 1, "columns": [{"name": EVIL, **dict.fromkeys(("min", "max", "mean", "std", "missing"))}]}
    }
    failed = [{"conversion": EVIL, "problem": EVIL}]
    evidence = replace(
        bundle.evidence,
        parity={
            **bundle.evidence.parity,
            "failed": failed,
            "conversion": EVIL,
            "edge_refused": [EVIL],
            "missing": "differs",
            "tolerance": {EVIL: {"exact": True}},
            "served": bundle.evidence.parity["edge"],
        },
        evaluation={"metric": EVIL, "before": 1.0, "after": 1.0, "rows": 1},
        candidates=tuple({**one, "name": EVIL, "verdict": EVIL, "reason": EVIL} for one in bundle.evidence.candidates),
        chosen=EVIL,
        statistics=statistics,
        more={
            "variants": [{"name": EVIL, "optimization": EVIL}],
            "notes": [EVIL],
            "limits": {**bundle.evidence.more["limits"], "prefer": EVIL},
        },
    )
    return replace(
        bundle,
        name=EVIL,
        created=EVIL,
        task=EVIL,  # type: ignore[arg-type]
        labels=(EVIL,),
        inputs=(tensor,),
        outputs=(tensor,),
        evidence=evidence,
        source=replace(bundle.source, framework=EVIL, framework_version=EVIL, file=EVIL, git=EVIL, command=EVIL),
        profile=replace(bundle.profile, cpu=EVIL),
    )


def test_escapes_whatever_comes_from_outside(tumour: Converted) -> None:
    page = written(poisoned(tumour.bundle))

    reader = Reader(page)
    assert "<script" not in page
    assert reader.text.count(EVIL) > 20
    assert {tag for tag, _ in reader.elements} == {tag for tag, _ in Reader(written(tumour.bundle)).elements}


def test_says_that_rows_were_made_up(tumour: Converted) -> None:
    bundle = replace(tumour.bundle, evidence=replace(tumour.bundle.evidence, data="synthetic", evaluation={}))

    assert "No real rows were given." in Reader(written(bundle)).text


def test_shows_which_way_labels_flipped(tumour: Converted) -> None:
    candidate: dict[str, Any] = {
        **tumour.bundle.evidence.candidates[0],
        "seconds": 1e-5,
        "speedup": 1.5,
        "score": 0.9,
        "drop": 0.1,
        "flips": 0.2,
        "right_to_wrong": 3,
        "wrong_to_right": 1,
        "judged_rows": 300,
    }
    evidence = replace(tumour.bundle.evidence, candidates=(candidate,))

    text = Reader(written(replace(tumour.bundle, evidence=evidence))).text

    assert "right to wrong" in text
    assert "1.50 ×" in text
    assert "10 µs" in text
