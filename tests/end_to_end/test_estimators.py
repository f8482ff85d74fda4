"""Every estimator of scikit-learn converts as docs/estimators.md says, or better; and what the script compares with."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scripts import estimators
from scripts.estimators import Differs, Row, Served, compare
from scripts.models import recipes
from scripts.models.recipes import RECIPES, answers_new_rows
from tests.end_to_end.pages import PAGES, section, table

from snooze.convert.attempts import convert
from snooze.convert.checks.dataset import load, read_rows
from snooze.convert.frameworks.sklearn.framework import FRAMEWORK

PAGE = {row[0]: row for row in table(section(PAGES["docs/estimators.md"], "## Every estimator")) if len(row) > 3}
ORDER = ("single", "single, double", "double, single", "double")  # the best first


def convert_only(model: Any, rows: Any, folder: Path) -> Served:
    """Convert a model as users do, but without the measurements that take most of the time."""
    given = read_rows(rows, None, None)
    inputs = FRAMEWORK.signature(model, given.arrays)
    original = FRAMEWORK.describe(model, inputs)
    made = convert(original, load(given, inputs, FRAMEWORK.columns(model), "data"), folder)
    return Served(made.file, [(one.name, one.shape) for one in made.inputs], made.parity.attempt)


@pytest.mark.framework
@pytest.mark.filterwarnings("ignore")  # of scikit-learn, about data and settings
@pytest.mark.parametrize("name", RECIPES)
def test_an_estimator_converts_as_well_as_the_page_says(name: str) -> None:
    _, outcome, precision, *_ = PAGE[name]
    row = estimators.examine(name, convert_only, measure=False)

    assert row.outcome in ("yes", "refused"), row.reason
    if outcome == "yes":
        assert row.outcome == "yes", row.reason
        assert ORDER.index(row.precision) <= ORDER.index(precision)


def test_every_estimator_that_answers_for_new_rows_is_on_the_page() -> None:
    assert set(PAGE) == set(RECIPES) == {name for name in recipes.estimators() if answers_new_rows(name)}


def test_the_page_states_the_tolerances() -> None:
    relative, extent = (f"{value:.0e}".replace("e-0", "e-") for value in (estimators.RTOL, estimators.ATOL))
    assert f"{relative} × |value| + {extent} × the range" in PAGES["docs/estimators.md"]


def test_compares_with_the_range_of_an_output() -> None:
    expected = np.array([[0.0, 1000.0], [1.0, np.nan]])
    assert compare("value", expected, expected) == 0
    assert compare("value", expected, expected + 1e-3) == pytest.approx(1e-6)
    with pytest.raises(Differs, match="extend over 1e\\+03"):
        compare("value", expected, expected + 0.2)
    with pytest.raises(Differs):
        compare("value", expected, np.nan_to_num(expected))
    with pytest.raises(Differs, match="shape"):
        compare("value", expected, expected[:1])


def test_labels_are_equal_or_differ() -> None:
    names = np.array(["a", "b"], object)
    assert compare("label", names, names.reshape(-1, 1)) == 0
    with pytest.raises(Differs, match="1 of 2 labels"):
        compare("label", names, np.array(["a", "c"], object))


def test_writes_the_tables_between_their_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n{}old\n{}after\n".format(*estimators.MARKS))
    monkeypatch.setattr(estimators, "PAGE", page)
    good = Row("Ridge", attempts=["single precision", "double precision"], worst=2e-7, seconds={1: (1e-5, 2e-4)})
    estimators.write_page([good, Row("PatchExtractor", "refused", "its rows are pictures")])
    before, _, written = page.read_text().partition(estimators.MARKS[0])
    assert (before, written.partition(estimators.MARKS[1])[2]) == ("before\n", "after\n")
    rows = table(written)
    assert ["regressor", "1", "1"] in rows
    assert ["**all**", "**1**", "**2**"] in rows
    assert ["Ridge", "yes", "single, double", "2e-07", "10 : 200", ""] in rows
    assert rows[-1] == ["PatchExtractor", "refused", "", "", "", "", "its rows are pictures"]
    assert "old" not in written
