from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from snooze.bundle.contract import Source
from snooze.bundle.inspection import inspect
from snooze.bundle.overview import overview, table
from snooze.bundle.store import find, read

Publish = Callable[..., Path]

OVERVIEW = """\
tumour, version 1
  folder    FOLDER
  created   2026-11-21T01:02:03Z
  source    scikit-learn 1.9.1 model.joblib
  sha256    abababababababababababababababababababababababababababababababab
  git       1f3c
  command   snooze convert
  task      classification
  labels    malignant, benign
  batching  up to 64 rows along axis 0
  session   model.onnx, optimization none, 1 thread, run in the loop

inputs
  features  FP32  [-1, 3]

outputs
  label          INT64  [-1]     label   exact
  probabilities  FP32   [-1, 2]  scores  within 1e-05 + 0.0001 × |value|

evidence
  data        real rows with labels
  parity      single precision agrees on 100 rows and 7 edge rows: worst difference 3.1e-07, 0 labels changed
              half precision does not agree: 3 labels changed
  score       accuracy 0.9825 before, 0.9812 as served, on 114 rows
  candidates  fp32 chosen: the converted model (2.9 KiB)
              int8 refused: it is too slow (speed 1.04 ×, score 0.97, drop 1.2, flips 2 %, 1000 B)
  form        as converted, optimization none: starts in 2 ms, runs in 9 µs; 1 form measured
  warning     saved by another version

profile
  EPYC
  rows  one run  spread    CPU
     1    11 µs    1 µs  12 µs
    64    90 µs    2 µs  91 µs
  memory       anonymous  resident      peak
  interpreter    1.0 MiB   2.0 MiB   4.0 MiB
  imported       2.0 MiB   4.0 MiB   8.0 MiB
  session        3.0 MiB   6.0 MiB  12.0 MiB
  one row        4.0 MiB   8.0 MiB  16.0 MiB
  runs           5.0 MiB  10.0 MiB  20.0 MiB

files
"""


def test_shows_everything_of_a_bundle(publish: Publish) -> None:
    folder = publish()

    text = "\n".join(overview(folder, read(folder)))

    before, after = text.split("files\n", 1)
    assert before + "files\n" == OVERVIEW.replace("FOLDER", str(folder))
    assert "  model.onnx     4 B  sha256:" in after
    assert text.endswith(f"\nreport: {folder}/report.html")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"batching": None}, "\n  batching  never\n"),
        (
            {"source": Source("keras", "3.15.1", *[None] * 4), "labels": None},
            "\n  source    keras 3.15.1\n  task",
        ),
        ({"labels": ("\x1b[2J", "b\n")}, "\n  labels    \\x1b[2J, b\\n\n"),
    ],
)
def test_shows_also(publish: Publish, changes: dict[str, Any], text: str) -> None:
    folder = publish(**changes)

    assert text in "\n".join(overview(folder, read(folder)))


def test_names_no_report_without_one(publish: Publish) -> None:
    folder = publish()
    bundle = read(folder)
    files = {name: found for name, found in bundle.files.items() if name != "report.html"}

    assert "report:" not in "\n".join(overview(folder, bundle._replace(files=files)))


def test_a_repository_is_a_table_with_the_damaged_bundles_below(publish: Publish, tmp_path: Path) -> None:
    publish("digits")
    (publish("tumour") / "bundle.json").write_text("{")

    head, digits, tumour, damaged = table([inspect(found, check=False) for found in find(tmp_path / "models")])

    assert head.split() == ["model", "version", "created", "source", "task", "served", "size", "verified"]
    assert digits.split()[:2] == ["digits", "1"]
    assert digits.endswith("not checked")
    assert tumour.split() == ["tumour", "1", "-", "-", "-", "-", "-", "damaged"]
    assert damaged.startswith(f"damaged: {tmp_path}/models/tumour/1/bundle.json: the file: is not valid JSON")
