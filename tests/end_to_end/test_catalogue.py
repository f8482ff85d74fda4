"""The catalogue: ten models that are trained here answer over HTTP as their originals do, and it sees what differs."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scripts import catalogue
from scripts.models import carried, trained
from scripts.models.comparison import Comparison, Difference, compare
from scripts.models.entry import EIGHT_BITS, HALF, SINGLE, Answers, Entry, Tolerance, split
from scripts.models.wheels import WHEELS
from tests.end_to_end.pages import PAGES, section, table

ENTRIES = {entry.name: entry for entry in trained.entries()}
SUBSET = (
    "frame",
    "texts",
    "lightgbm-txt",
    "xgboost-json",
    "xgboost-ubj",
    "keras",
    "keras-2-h5",
    "saved-model",
    "tflite",
    "zipmap",
)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, catalogue.Row]:
    """What became of the models, all of them in one repository."""
    folder = tmp_path_factory.mktemp("catalogue")
    found = {name: catalogue.convert(ENTRIES[name], folder / name, folder / "models") for name in SUBSET}
    with catalogue.serve(folder / "models", folder / "server.log") as address:
        for row, file in found.values():
            if row.outcome == "converted":
                catalogue.examine(row, file, address)
    return {name: row for name, (row, _) in found.items()}


@pytest.mark.framework
@pytest.mark.process
@pytest.mark.filterwarnings("ignore")  # of the frameworks, while they train and answer
@pytest.mark.parametrize("name", SUBSET)
def test_a_model_answers_as_its_original(rows: dict[str, catalogue.Row], name: str) -> None:
    row = rows[name]
    assert row.outcome == "same", row.problem
    assert row.comparison is not None
    assert row.comparison.share <= 1
    assert row.comparison.flips == 0


@pytest.mark.process
def test_tells_a_refusal_by_its_message(tmp_path: Path) -> None:
    def damage(folder: Path) -> Path:
        (folder / "model.keras").write_bytes(b"no archive")
        return folder / "model.keras"

    row, _ = catalogue.convert(make_entry(file=damage), tmp_path / "original", tmp_path / "models")
    assert row.outcome == "refused"
    assert "model.keras" in row.problem
    row, _ = catalogue.convert(make_entry(file=damage, refusal="damaged"), tmp_path / "original", tmp_path / "models")
    assert row.outcome == "refused rightly"


def test_leaves_out_what_needs_another_package(tmp_path: Path) -> None:
    row, _ = catalogue.convert(make_entry(needs=("no_such_package",)), tmp_path / "original", tmp_path / "models")
    assert (row.outcome, row.passed) == ("left out", True)
    assert "no_such_package" in row.problem


def test_has_every_framework_twice_and_25_models_or_more(tmp_path: Path) -> None:
    entries = carried.entries(tmp_path) + trained.entries()
    frameworks = Counter(entry.framework for entry in entries)
    assert len({entry.name for entry in entries}) == len(entries) >= 25
    assert min(frameworks.values()) >= 2
    assert len({ENTRIES[name].framework for name in SUBSET}) >= 5


def test_the_page_names_every_wheel_and_its_licence() -> None:
    rows = table(section(PAGES["docs/catalogue.md"], "## Where the models come from"))
    assert rows == [[f"{one.package} {one.version}", one.licence] for one in WHEELS.values()]


@pytest.mark.parametrize("tolerance", [SINGLE, HALF, EIGHT_BITS])
def test_the_page_names_the_tolerances(tolerance: Tolerance) -> None:
    relative, column = (f"{value:.0e}".replace("e-0", "e-") for value in tolerance)
    assert f"{relative} × \\|value\\| + {column} × the largest value in its column" in PAGES["docs/catalogue.md"]


def test_writes_the_table_between_its_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n{}old\n{}after\n".format(*catalogue.MARKS))
    monkeypatch.setattr(catalogue, "PAGE", page)
    row = catalogue.Row(make_entry(), 2048, 1.25, "same", 3, Comparison(1e-6, 0.5, 0))
    catalogue.write_page([row, catalogue.Row(make_entry(), outcome="left out", problem="needs\ntorch")], 7)
    before, _, written = page.read_text().partition(catalogue.MARKS[0])
    assert (before, written.partition(catalogue.MARKS[1])[2]) == ("before\n", "after\n")
    assert table(written)[0] == ["probe", "none", "nowhere", "2", "1.2", "same", "3", "1.0e-06", "0.500", "0"]
    assert ": 1 same, 1 left out in 7 s." in written
    assert "- probe: left out: needs torch" in written
    assert "old" not in written


def make_entry(**rest: object) -> Entry:
    given = {"file": Path, "original": lambda file, questions: [], "questions": list} | rest
    return Entry("probe", "none", "nowhere", **given)  # type: ignore[arg-type]


EXPECTED: Answers = {
    "label": np.array(["a", "b", "a"]),
    "scores": np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]),
    "sizes": np.array([[1000.0, 1.0], [2000.0, 2.0], [3000.0, 3.0]]),
}


def test_equal_answers_have_no_difference() -> None:
    assert compare(make_entry(scores="scores"), [EXPECTED] * 2, [EXPECTED] * 2) == (0, 0, 0)


def test_compares_outputs_of_other_names_in_order_and_two_columns_of_a_sigmoid() -> None:
    expected = [{"Identity:0": EXPECTED["scores"][:, 1:]}]
    assert compare(make_entry(), expected, [{"probabilities": EXPECTED["scores"]}]).worst == 0


@pytest.mark.parametrize("rows", [1, 3])
def test_a_column_of_its_own_is_nothing_else(rows: int) -> None:
    flat, column = {"value": np.arange(1.0, rows + 1)}, {"value": np.arange(1.0, rows + 1)[:, None]}
    for ours, theirs in ((flat, column), (column, flat), (flat, flat)):
        assert compare(make_entry(), [ours], [theirs]).worst == 0


def test_a_column_far_smaller_than_its_neighbour_has_its_own_tolerance() -> None:
    zeroed = EXPECTED | {"sizes": EXPECTED["sizes"] * [1, 0]}
    assert compare(make_entry(), [EXPECTED], [zeroed]).share > 1
    close = EXPECTED | {"sizes": EXPECTED["sizes"] * (1 + 1e-5)}
    assert 0 < compare(make_entry(), [EXPECTED], [close]).share < 1


def test_counts_labels_and_best_columns_that_differ() -> None:
    labels = EXPECTED | {"label": np.array(["a", "a", "a"])}
    assert compare(make_entry(), [EXPECTED], [labels]).flips == 1
    scores = EXPECTED | {"scores": EXPECTED["scores"][:, ::-1]}
    assert compare(make_entry(scores="scores"), [EXPECTED], [scores]).flips == 3


def test_what_is_no_number_only_in_one_answer_is_infinitely_far_apart() -> None:
    missing = np.array([[np.nan, 1.0], [2000.0, 2.0], [3000.0, 3.0]])
    assert compare(make_entry(), [{"sizes": missing}], [{"sizes": missing}]).share == 0
    assert compare(make_entry(), [EXPECTED], [EXPECTED | {"sizes": missing}]).share == np.inf


def test_says_which_output_is_missing_or_has_another_shape() -> None:
    with pytest.raises(Difference, match="output 'sizes' is not served; got label, scores"):
        compare(make_entry(), [EXPECTED], [{name: EXPECTED[name] for name in ("label", "scores")}])
    with pytest.raises(Difference, match=r"output 'sizes' has shape \[2, 2\], expected \[3, 2\]"):
        compare(make_entry(), [EXPECTED], [EXPECTED | {"sizes": EXPECTED["sizes"][:2]}])


def test_questions_are_split_by_rows() -> None:
    first, second = split({"x": np.arange(5), "y": np.arange(5) * 2}, 1, 3)
    assert first["x"].tolist() == [0]
    assert second["y"].tolist() == [2, 4, 6]
