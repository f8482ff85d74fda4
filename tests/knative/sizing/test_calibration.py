import json
from pathlib import Path

from snooze.knative.sizing.calibration import FILE, Calibration, read_figures
from snooze.knative.sizing.prediction import Prediction


def test_reads_the_figures_and_how_they_were_measured() -> None:
    figures = read_figures()

    assert figures.measured.command.startswith("snooze bench sizing ")
    assert figures.measured.loads > 0
    assert len(figures.measured.models) > 1
    assert all(getattr(figures.calibration, name) > 0 for name in Calibration.__slots__)


def test_every_deviation_belongs_to_a_predicted_figure() -> None:
    deviations = read_figures().deviations

    assert deviations.keys() <= set(Prediction.__slots__)
    assert all(0 < deviation.typical <= deviation.largest for deviation in deviations.values())


def test_the_figures_can_be_written_and_read_again(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text(json.dumps(read_figures().as_dict()))

    assert read_figures(tmp_path / "other.json") == read_figures(FILE)
