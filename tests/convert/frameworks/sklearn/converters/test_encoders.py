from typing import Any

import numpy as np
import pytest
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    LabelBinarizer,
    LabelEncoder,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
    TargetEncoder,
)
from tests.convert.frameworks.sklearn.conftest import Convert

pytestmark = pytest.mark.framework


RARE = {"min_frequency": 50}
GROUPED = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-5, **RARE)


@pytest.mark.parametrize(
    ("columns", "encoder"),
    [
        (["city", "grade"], OneHotEncoder(handle_unknown="ignore")),
        (["city", "grade"], OneHotEncoder(drop="first", dtype=int)),
        (["size", "city"], OneHotEncoder()),
        (["city", "note"], OneHotEncoder(handle_unknown="infrequent_if_exist", drop=["Ulm", "so so"], **RARE)),
        (["city", "grade"], OrdinalEncoder(encoded_missing_value=-2)),
        (["city", "size"], GROUPED),
        (["city", "grade"], TargetEncoder(cv=2)),
    ],
    ids=lambda value: None if isinstance(value, list) else str(value)[:60],
)  # fmt: skip
def test_columns_of_a_dataframe(convert: Convert, people: Any, columns: Any, encoder: Any) -> None:
    model = make_column_transformer((encoder, columns), (StandardScaler(), ["hours per week"]))

    _, conversion = convert(model.fit(people, people["works"]), people)

    assert conversion.parity.data.worst < 1e-6
    assert conversion.parity.attempt == "single precision"


@pytest.mark.parametrize("handle_unknown", ["ignore", "infrequent_if_exist"])
def test_unknown_categories(convert: Convert, people: Any, handle_unknown: str) -> None:
    encoder = OneHotEncoder(handle_unknown=handle_unknown, min_frequency=50, drop="first")
    model = make_pipeline(make_column_transformer((encoder, ["city", "note", "grade"])), LogisticRegression())
    others = people.assign(city="Rom", grade=9)
    others.loc[:9, "city"] = ""

    _, conversion = convert(model.fit(people, people["works"]), others)

    assert conversion.parity.data.worst < 1e-6


UNKNOWN = {"handle_unknown": "use_encoded_value", "unknown_value": -1}
NUMBERS = {
    "floats": np.random.default_rng(0).choice([0.1, -2.5, 1e-3, np.nan, 3e4], (60, 3)),
    "integers": np.random.default_rng(1).integers(-3, 4, (60, 3)),
    "large floats": np.random.default_rng(2).choice([1e9, 1e9 + 1, 1e9 + 2], (60, 2)),
    "booleans": np.random.default_rng(3).integers(0, 2, (60, 2)).astype(bool),
}


@pytest.mark.parametrize(
    "encoder",
    [
        OneHotEncoder(),
        OneHotEncoder(handle_unknown="ignore", drop="first", sparse_output=False),
        OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=3, drop="if_binary"),
        OneHotEncoder(handle_unknown="warn", min_frequency=12),
        OrdinalEncoder(),
        OrdinalEncoder(**UNKNOWN, min_frequency=12),
        OrdinalEncoder(**UNKNOWN, max_categories=3, encoded_missing_value=-2),
        TargetEncoder(cv=2),
        TargetEncoder(cv=2, smooth=5.0, target_type="continuous"),
        make_pipeline(TargetEncoder(cv=2), StandardScaler()),
        make_pipeline(OrdinalEncoder(dtype=np.int32, encoded_missing_value=-1), OneHotEncoder(handle_unknown="ignore")),
    ],
    ids=lambda one: " ".join(str(one).split()),
)
@pytest.mark.parametrize("kind", NUMBERS)
def test_matrix(convert: Convert, encoder: Any, kind: str) -> None:
    """Of rows that are given, and drawn: both have all categories, and unknown ones where the encoder accepts them."""
    rows = NUMBERS[kind]
    targets = np.arange(60) % 5 if getattr(encoder, "target_type", "") == "continuous" else np.arange(60) % 3
    encoder.fit(rows, targets)

    for given in ({"features": rows}, None):
        _, conversion = convert(encoder, given)

        assert conversion.parity.data.outliers == conversion.parity.data.flips == 0
        expected = {"floats": "FP32", "large floats": "FP64"}.get(kind, "INT64")
        assert [(one.name, one.datatype) for one in conversion.inputs] == [("features", expected)]


def test_means_of_each_class(convert: Convert) -> None:
    rows, labels = load_iris(return_X_y=True)
    model = make_pipeline(TargetEncoder(cv=2), LogisticRegression())
    model.fit(rows[::2], np.array(["a", "b", "c"])[labels[::2]])

    _, conversion = convert(model, rows[1::2])

    assert conversion.parity.data.flips == 0
    assert conversion.parity.attempt == "single precision"


LABELS = [["a", "", "ü", "a"], [3, -1, 7], [3, -1], ["b", "a"], ["a"], [2.0, 1.0, 4.0], [True, False]]


@pytest.mark.parametrize("labels", LABELS, ids=str)
@pytest.mark.parametrize(
    "encoder",
    [LabelEncoder(), LabelBinarizer(), LabelBinarizer(neg_label=-2, pos_label=5), LabelBinarizer(sparse_output=True)],
    ids=str,
)
def test_labels(convert: Convert, encoder: Any, labels: list[Any]) -> None:
    """Given in a column of their own."""
    encoder.fit(labels)

    for rows in ({"label": np.array(labels * 3)}, None):
        _, conversion = convert(encoder, rows)

        assert conversion.parity.data.flips == 0
        assert [(one.name, one.shape) for one in conversion.inputs] == [("label", (-1, 1))]
        assert conversion.outputs[0].datatype == "INT64"
