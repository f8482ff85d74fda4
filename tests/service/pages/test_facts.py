from pathlib import Path

import pytest
from tests.bundle.conftest import EVIDENCE
from tests.service.conftest import classifier, regressor
from tests.service.pages.conftest import load_model

from snooze.bundle.codec import document
from snooze.bundle.evidence import Evaluation
from snooze.service.pages.facts import collect, score, summarize, wilson
from snooze.service.runtime.model import Model


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return load_model(tmp_path, classifier(), ("malignant", "benign"))


def test_a_model_is_described(model: Model) -> None:
    facts = {fact.name: (fact.value, fact.note) for fact in collect(model)}

    assert facts == {
        "Task": ("classification", "classes malignant, benign"),
        "Accuracy": ("98.1 %", "95 % interval 93.6 % to 99.5 % (Wilson), on 114 rows given to the conversion"),
        "Compared with the original": ("107 rows", "0 labels changed, worst difference 3.1e−07"),
        "Speed": ("1 row in 11 µs", "64 rows in 90 µs; measured on EPYC"),
        "Size": ("2.9 KiB", "the model's files, served as fp32"),
        "Trained with": ("hand-made 1", "converted 2026-11-21"),
    }
    assert summarize(model) == "classification, accuracy 98.1 %"


def test_a_regressor_has_neither_labels_nor_an_interval(tmp_path: Path) -> None:
    model = load_model(tmp_path, regressor())
    evidence = EVIDENCE._replace(evaluation=Evaluation("R²", 0.91, 0.9, 50))
    model.bundle = model.bundle._replace(task="regression", evidence=document(evidence))

    facts = {fact.name: (fact.value, fact.note) for fact in collect(model)}

    assert facts["R²"] == ("0.900", "on 50 rows given to the conversion")
    assert facts["Compared with the original"] == ("107 rows", "worst difference 3.1e−07")
    assert summarize(model) == "regression, R² 0.900"


def test_many_classes_are_counted(model: Model) -> None:
    labels = tuple(map(str, range(1000)))
    model.bundle = model.bundle._replace(labels=labels)

    assert next(collect(model)).note == "1000 classes: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …"


def test_evidence_of_another_form_is_left_out(model: Model) -> None:
    model.bundle = model.bundle._replace(evidence={"new": 1})

    assert [fact.name for fact in collect(model)] == ["Task"]
    assert summarize(model) == "classification"


def test_no_score_is_no_score(model: Model) -> None:
    model.bundle = model.bundle._replace(evidence=document(EVIDENCE._replace(evaluation=None)))

    assert score(None).value == "not measured"
    assert summarize(model) == "classification, score not measured"


@pytest.mark.parametrize(
    ("right", "rows", "least", "most"),
    # R. G. Newcombe, Statistics in Medicine 17, 857 (1998), table I, method 3
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_interval_is_that_of_wilson(right: int, rows: int, least: float, most: float) -> None:
    assert wilson(right / rows, rows) == pytest.approx((least, most), abs=5e-5)
    assert wilson(1 - right / rows, rows) == pytest.approx((1 - most, 1 - least), abs=5e-5)
