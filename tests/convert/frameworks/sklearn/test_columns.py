from typing import Any

import numpy as np
import pandas
import pytest
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer, make_column_selector, make_column_transformer
from sklearn.decomposition import NMF
from sklearn.feature_extraction import DictVectorizer, FeatureHasher
from sklearn.feature_extraction.image import PatchExtractor
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import RandomizedSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    LabelBinarizer,
    LabelEncoder,
    MultiLabelBinarizer,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
)
from tests.convert.frameworks.sklearn.conftest import Convert

from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.sklearn.columns import find_layout
from snooze.convert.frameworks.sklearn.framework import FRAMEWORK

pytestmark = pytest.mark.framework

Data = tuple[NDArray[Any], NDArray[Any]]


def classify(*steps: Any) -> Any:
    return make_pipeline(*steps, LogisticRegression())


def test_a_mixed_frame_has_an_input_for_each_column(convert: Convert, people: Any) -> None:
    """Columns that the model drops are no inputs, but rows may have them."""
    model = classify(
        make_column_transformer(
            (make_pipeline(SimpleImputer(), StandardScaler()), ["age", "hours per week"]),
            (OneHotEncoder(handle_unknown="ignore"), ["city", "grade"]),
            (TfidfVectorizer(), "note"),
        )
    ).fit(people, people["works"])

    original, conversion = convert(model, people.drop(columns="works"))

    assert {one.name: (one.datatype, one.shape) for one in conversion.inputs} == {
        "age": ("FP32", (-1, 1)),
        "hours per week": ("FP32", (-1, 1)),
        "city": ("BYTES", (-1, 1)),
        "grade": ("INT64", (-1, 1)),
        "note": ("BYTES", (-1, 1)),
    }
    assert original.classes == ("no", "yes")
    assert (conversion.parity.attempt, conversion.parity.data.flips) == ("single precision", 0)


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        (["age", "hours per week"], ("age", "hours per week")),
        (slice("hours per week", "grade"), ("hours per week", "grade")),
        (make_column_selector(dtype_include="number"), ("age", "hours per week", "grade")),
    ],
    ids=["list", "slice", "selector"],
)
def test_columns_of_numbers_are_one_matrix(convert: Convert, people: Any, columns: Any, names: Any) -> None:
    frame = people[["id", "age", "hours per week", "grade"]]
    if isinstance(columns, slice):
        frame = frame[["id", "hours per week", "grade", "age"]]
    model = classify(make_column_transformer((StandardScaler(), columns))).fit(frame, people["works"])

    _, conversion = convert(model, people)

    assert [(one.name, one.shape) for one in conversion.inputs] == [("features", (-1, len(names)))]
    assert FRAMEWORK.columns(model) == names
    assert conversion.parity.data.flips == 0


def test_transformers_may_be_nested_to_any_depth(convert: Convert, people: Any) -> None:
    """`id` is given to the inner transformer, and dropped there."""
    inner = ColumnTransformer([("x", StandardScaler(), ["hours per week"]), ("y", OneHotEncoder(), ["city"])])
    last = ColumnTransformer([("z", StandardScaler(), [1])], remainder="passthrough")
    both = ColumnTransformer(
        [
            ("a", inner, ["id", "city", "hours per week"]),
            ("b", Pipeline([("fill", SimpleImputer()), ("scale", last)]), ["size", "age"]),
        ]
    )
    search = RandomizedSearchCV(LogisticRegression(), {"C": [1.0]}, n_iter=1, cv=2)
    model = make_pipeline(both, search).fit(people, people["works"])

    _, conversion = convert(model, people)

    assert [one.name for one in conversion.inputs] == ["age", "hours per week", "city", "size"]
    assert conversion.parity.data.flips == 0


def test_an_array_of_objects_has_an_input_for_each_column(convert: Convert, people: Any) -> None:
    rows = people[["age", "id", "city"]].fillna("").to_numpy(object)
    steps = ColumnTransformer([("n", StandardScaler(), [0]), ("c", OneHotEncoder(), [2])])

    _, conversion = convert(classify(steps).fit(rows, people["works"]), rows)

    assert [(one.name, one.datatype) for one in conversion.inputs] == [("x0", "FP32"), ("x2", "BYTES")]


@pytest.mark.parametrize(
    "reader",
    [TfidfVectorizer(), FeatureUnion([("words", TfidfVectorizer()), ("letters", CountVectorizer(analyzer="char"))])],
)
def test_texts_are_one_input(convert: Convert, people: Any, reader: Any) -> None:
    _, conversion = convert(classify(reader).fit(people["note"], people["works"]), people["note"].to_numpy())

    assert [(one.name, one.datatype, one.shape) for one in conversion.inputs] == [("text", "BYTES", (-1,))]
    assert conversion.parity.data.flips == 0


@pytest.mark.parametrize("encoder", [OneHotEncoder(), SimpleImputer(strategy="most_frequent", missing_values=None)])
def test_an_empty_text_is_a_missing_one(encoder: Any) -> None:
    frame = pandas.DataFrame({"city": pandas.Series(["Ulm", None, "Ulm"], dtype=object)})
    layout = find_layout(make_column_transformer((encoder, ["city"])).fit(frame))

    rows = layout.rows({"city": np.array([["Ulm"], [""]], object)})

    assert rows["city"].tolist() == ["Ulm", None]


@pytest.mark.parametrize(
    ("model", "rows", "problem"),
    [
        (DictVectorizer(), [{"a": 1}, {"a": 2}], "its rows are dicts; train on a dataframe"),
        (FeatureHasher(), [{"a": 1}, {"a": 2}], "its rows are dicts or lists"),
        (classify(DictVectorizer()), [{"a": 1}, {"a": 2}], "the rows go to DictVectorizer, and its rows are dicts"),
        (MultiLabelBinarizer(), [("a", "b"), ("b",)], "its rows are sets of labels"),
        (PatchExtractor(patch_size=(2, 2)), np.zeros((2, 4, 4)), "its rows are pictures"),
        (LabelBinarizer(), np.eye(2, dtype=int), "the zeros and ones that it gives"),
        (LabelEncoder(), np.array([1.5, None], object), "neither all texts nor all numbers"),
        (OneHotEncoder(), np.array([[1], [None]], object), "neither all texts nor all numbers"),
    ],
    ids=lambda one: type(one).__name__ if hasattr(one, "fit") else None,
)
def test_other_rows_are_refused(model: Any, rows: Any, problem: str) -> None:
    model.fit(rows, [0, 1]) if hasattr(model, "steps") else model.fit(rows)

    with pytest.raises(Unsupported, match=problem):
        FRAMEWORK.signature(model)


@pytest.mark.parametrize(
    ("rows", "labelled", "expected"),
    [
        (np.array([[1, 2], [2, 2]]), False, [("features", "INT64", (-1, 2))]),
        (np.array([[1, 2], [2, 2]]), True, [("a", "INT64", (-1, 1)), ("b", "INT64", (-1, 1))]),
        (np.array([[1, 2.5], [2, 2]]), False, [("features", "FP32", (-1, 2))]),
        (np.array([["1", "2"], ["2", "2"]], object), False, [("x0", "BYTES", (-1, 1)), ("x1", "BYTES", (-1, 1))]),
    ],
    ids=["integers", "integers with names", "floats", "texts"],
)
def test_categories_in_a_matrix(rows: Any, labelled: bool, expected: list[Any]) -> None:
    encoder = OrdinalEncoder().fit(pandas.DataFrame(rows, columns=["a", "b"]) if labelled else rows)

    assert [tuple(one.tensor[:3]) for one in FRAMEWORK.signature(encoder)] == expected


def test_integers_and_numbers_in_one_matrix_are_numbers() -> None:
    rows = np.array([[1, 2], [2, 2], [3, 1]])
    model = make_column_transformer((OneHotEncoder(), [0]), (StandardScaler(), [1])).fit(rows)

    assert [one.tensor.datatype for one in FRAMEWORK.signature(model)] == ["FP32"]


@pytest.mark.parametrize(("labels", "datatype"), [(["a", "b"], "BYTES"), ([1, 2], "INT64"), ([0.5, 1.5], "FP32")])
def test_labels_are_one_input(labels: list[Any], datatype: str) -> None:
    encoder = LabelEncoder().fit(labels)
    (given,) = FRAMEWORK.signature(encoder)

    assert given.tensor[:3] == ("label", datatype, (-1, 1))
    assert find_layout(encoder).rows({"label": np.array([labels]).T}).tolist() == labels


def test_a_column_has_one_kind(people: Any) -> None:
    frame = people.assign(code="1")
    model = make_column_transformer((StandardScaler(), ["code"]), (OrdinalEncoder(), ["code"])).fit(frame)

    with pytest.raises(Unsupported) as caught:
        FRAMEWORK.signature(model)

    assert caught.value.model == "column 'code'"


def test_an_isotonic_regression_reads_one_column() -> None:
    layout = find_layout(IsotonicRegression().fit([1, 2, 3], [1, 2, 4]))

    assert (layout.form, layout.width) == ("matrix", 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_matrix_is_given_in_double_precision_unless_the_model_takes_only_single(dtype: type) -> None:
    rows: Any = np.eye(3).astype(dtype)

    assert find_layout(StandardScaler().fit(rows)).rows({"features": rows}).dtype == np.float64
    assert find_layout(NMF(2, init="nndsvda").fit(rows)).rows({"features": rows}).dtype == dtype
