from dataclasses import replace

import pytest

from snooze.convert import Converted
from snooze.convert.story import WIDTH, told


def test_tells_what_was_found(tumour: Converted) -> None:
    story = told(tumour)

    lines = story.splitlines()
    assert lines[0] == f"tumour version 1, from scikit-learn {tumour.bundle.source.framework_version}"
    assert lines[2].startswith("parity      169 rows and 50 edge rows agree: worst difference ")
    assert lines[2].endswith("0 labels flip")
    assert "score       accuracy 0." in story
    assert "versions    fp32 chosen: the converted model" in story
    assert "int8 refused: nothing to quantize" in story
    assert "4 forms measured" in story
    assert f"report      {tumour.report}" in story
    assert all(len(line) <= WIDTH or str(tumour.folder) in line for line in lines)


@pytest.mark.parametrize(
    ("parity", "line"),
    [
        ({"missing": "differs"}, "rows with missing values are answered otherwise than by the original"),
        (
            {
                "failed": [{"conversion": "single precision", "problem": "9 rows differ"}],
                "conversion": "double precision",
            },
            "single precision did not agree: 9 rows differ",
        ),
    ],
)
def test_tells_what_to_mind(tumour: Converted, parity: dict[str, object], line: str) -> None:
    evidence = replace(tumour.bundle.evidence, parity={**tumour.bundle.evidence.parity, **parity})

    assert line in told(Converted(tumour.folder, replace(tumour.bundle, evidence=evidence)))


def test_tells_that_rows_were_made_up(tumour: Converted) -> None:
    more = {**tumour.bundle.evidence.more, "notes": ["saved by another version"]}
    evidence = replace(tumour.bundle.evidence, data="synthetic", evaluation={}, more=more)

    story = told(Converted(tumour.folder, replace(tumour.bundle, evidence=evidence)))

    assert "169 made-up rows" in story
    assert "no real rows were given: add --data" in story
    assert "score " not in story
    assert "mind        saved by another version" in story
