from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder, OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder

from snooze.bundle.adapters import registry
from snooze.bundle.adapters.table import Column, Declaration
from snooze.bundle.errors import InvalidRow
from snooze.bundle.rows.reading import Rows
from snooze.convert import Converted, convert
from snooze.convert.adapters.tables import NO_MISSING
from snooze.convert.frameworks.boosting.ensemble import Split, split_on_number
from snooze.convert.frameworks.sklearn.columns import find_layout
from snooze.convert.frameworks.sklearn.converters import trees
from snooze.convert.frameworks.sklearn.framework import FRAMEWORK
from snooze.convert.frameworks.sklearn.tables import to_rows

pytestmark = pytest.mark.framework

FRAME = ["age", "hours per week", "city", "grade", "size"]
CITIES = ("Bonn", "Köln", "Ulm")


def columns(model: Any, rows: Rows | None = None) -> Any:
    """The declaration of a model, or None."""
    return FRAMEWORK.adapter(model, FRAMEWORK.signature(model), rows)


def mixed(last: Any) -> Any:
    """A pipeline that reads a frame in every way."""
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    texts = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    columns = [("numbers", numbers, ["age", "hours per week"]), ("city", texts, ["city"])]
    return make_pipeline(ColumnTransformer([*columns, ("grade", OneHotEncoder(), ["grade"])]), last)


def encoded(encoder: Any, people: Any, column: str = "city") -> Any:
    transformer = ColumnTransformer([("encoder", encoder, [column]), ("age", "passthrough", ["age"])])
    return make_pipeline(transformer, LogisticRegression()).fit(people, people["works"])


def test_a_mixed_frame_is_a_table_of_the_columns_that_are_read(people: Any) -> None:
    model = mixed(LogisticRegression()).fit(people, people["works"])

    assert columns(model) == Declaration(
        "table",
        (
            Column("age", "number", missing=True),
            Column("hours per week", "number", missing=True),
            Column("city", "text", CITIES, missing=True),
            Column("grade", "integer", ("0", "1", "2", "3"), closed=True),
        ),
        extra="ignore",
    )


@pytest.mark.parametrize(
    ("encoder", "closed", "missing"),
    [
        (OneHotEncoder(), True, True),
        (OneHotEncoder(handle_unknown="ignore"), False, True),
        (OrdinalEncoder(), True, False),  # whose NaN logistic regression does not take
        (OrdinalEncoder(encoded_missing_value=-1), True, True),
        (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2), False, True),
        (TargetEncoder(), False, True),
    ],
    ids=str,
)
def test_the_model_says_which_categories_it_refuses(people: Any, encoder: Any, closed: bool, missing: bool) -> None:
    if not missing:
        people = people.assign(city=people["city"].fillna("Ulm"))

    found = columns(encoded(encoder, people)).columns

    assert found == (Column("age", "number"), Column("city", "text", CITIES, closed, missing=missing)) or found == (
        Column("city", "text", CITIES, closed, missing=missing),
        Column("age", "number"),
    )


def test_an_encoder_of_numbers_knows_them_as_categories(people: Any) -> None:
    model = encoded(OneHotEncoder(), people, "size")

    assert columns(model).columns[-1] == Column("size", "number", ("1.5", "2.5"), closed=True, missing=True)


def test_a_text_must_not_be_missing_where_words_are_counted(people: Any) -> None:
    transformer = ColumnTransformer([("note", TfidfVectorizer(), "note"), ("age", "passthrough", ["age"])])
    model = make_pipeline(transformer, LogisticRegression()).fit(people, people["works"])

    assert Column("note", "text") in columns(model).columns


@pytest.mark.parametrize(
    ("model", "missing"), [(LogisticRegression(), False), (HistGradientBoostingClassifier(max_iter=2), True)]
)
def test_columns_of_a_matrix_have_the_names_of_the_frame(people: Any, model: Any, missing: bool) -> None:
    model.fit(people[["age", "grade"]], people["works"])

    expected = tuple(Column(name, "number", missing=missing) for name in ("age", "grade"))
    assert columns(model) == Declaration("table", expected)


def test_columns_of_a_matrix_without_names_have_those_of_the_file(people: Any) -> None:
    model = LogisticRegression().fit(people[["age", "grade"]].to_numpy(), people["works"])
    rows = Rows({"a": np.array([1, 2]), "b": np.array([3, 4])})

    assert columns(model, rows) == Declaration("table", (Column("a", "number"), Column("b", "number")))
    assert columns(model) is None
    assert columns(model, Rows({"": np.zeros((3, 2))})) is None


def test_columns_of_an_array_of_objects_are_numbered(people: Any) -> None:
    model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression())
    model.fit(people[["city", "note"]].fillna("Ulm").to_numpy(), people["works"])

    assert [one.name for one in columns(model).columns] == ["x0", "x1"]


def test_texts_are_no_table(people: Any) -> None:
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(people["note"], people["works"])

    declared = columns(model)

    assert declared is None or declared.kind == "text"


def test_a_model_that_accepts_no_drawn_row_has_columns_that_are_asked_nothing(people: Any) -> None:
    class Picky(LinearRegression):
        def predict(self, rows: Any) -> Any:
            raise ValueError("never")

    model = Picky().fit(people[["age", "grade"]], people["age"])

    assert columns(model).columns == (Column("age", "number"), Column("grade", "number"))


def test_rows_become_a_frame_with_what_the_model_knows_as_missing(people: Any) -> None:
    model = mixed(LogisticRegression()).fit(people, people["works"])
    raw = [{"age": None, "hours per week": 40.0, "city": None, "grade": 1, "other": 7}]

    frame = to_rows(find_layout(model), raw)

    assert list(frame) == [*people.columns, "other"]
    assert np.isnan(frame["age"][0])
    assert np.isnan(frame["city"][0])
    assert frame["id"].isna().all()


@pytest.fixture(scope="module", params=[LogisticRegression(), GradientBoostingClassifier(n_estimators=20)], ids=type)
def served(request: Any, people: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Converted]:
    """A pipeline, and the bundle of it that was converted with a CSV file of rows that it was not trained on."""
    model = mixed(request.param).fit(people[:100], people["works"][:100])
    folder = tmp_path_factory.mktemp("people")
    people[100:].to_csv(folder / "rows.csv", index=False)
    return model, convert(model, name="people", target=folder, data=folder / "rows.csv", label="works", quantize="none")


def test_raw_rows_get_the_answers_of_pandas_and_the_pipeline(served: tuple[Any, Converted], people: Any) -> None:
    model, converted = served
    bundle = converted.bundle
    adapter = registry.load(bundle, converted.folder)
    session = onnxruntime.InferenceSession(converted.folder / bundle.session.file)
    generator = np.random.default_rng(7)
    rows = [
        {name: row[name] for name in generator.permutation(list(row))}  # other columns too, in any order
        for row in people.astype(object).where(people.notna(), None).to_dict("records")
    ]
    rows += [rows[0] | {"city": "Rom"}, rows[1] | {"age": None, "city": None}]
    del rows[-1]["hours per week"]

    assert adapter is not None
    labels, probabilities = session.run(None, adapter.apply(rows))

    frame = pandas.DataFrame(rows, dtype=object).astype({"age": float, "hours per week": float, "grade": int})
    frame["city"] = frame["city"].where(frame["city"].notna(), np.nan)
    assert (labels == model.predict(frame)).all()
    np.testing.assert_allclose(probabilities, model.predict_proba(frame), atol=1e-6)


def test_the_bundle_says_how_raw_rows_compare(served: tuple[Any, Converted]) -> None:
    parity = served[1].bundle.evidence["adapter"]

    assert parity["reference"] == "the model on a dataframe of the raw rows"
    assert (parity["data"]["rows"], parity["data"]["flips"]) == (100, 0)


@pytest.mark.parametrize(
    ("change", "column"),
    [({"grade": 7}, "grade"), ({"age": "old"}, "age"), ({"grade": None}, "grade"), ({"city": 5}, "city")],
)
def test_the_adapter_refuses_what_the_pipeline_refuses(
    served: tuple[Any, Converted], people: Any, change: dict[str, Any], column: str
) -> None:
    model, converted = served
    adapter = registry.load(converted.bundle, converted.folder)
    row = {"age": 40, "hours per week": 38.5, "city": "Ulm", "grade": 1}

    assert adapter is not None
    adapter.apply([row])
    with pytest.raises(InvalidRow) as caught:
        adapter.apply([row, row | change])

    assert (caught.value.row, caught.value.column) == (1, column)
    if column != "city":  # which would be an unknown category
        with pytest.raises((ValueError, TypeError)):
            model.predict(pandas.DataFrame([people.iloc[0].to_dict() | row | change]))


def test_trees_that_the_graph_does_not_follow_for_missing_values_take_none(
    people: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def to_the_left(feature: int, bound: float, left: int, right: int, missing: int) -> Split:
        return split_on_number(feature, bound, left, right, left)

    monkeypatch.setattr(trees, "split_on_number", to_the_left)
    model = RandomForestClassifier(5, random_state=0).fit(people[["age", "hours per week"]], people["works"])
    people[["age", "hours per week"]].to_csv(tmp_path / "rows.csv", index=False)

    bundle = convert(model, name="m", target=tmp_path, data=tmp_path / "rows.csv", quantize="none").bundle

    assert columns(model).columns[0].missing
    assert bundle.evidence["parity"]["missing"] == "differs"
    assert bundle.adapter is not None
    assert [one.get("missing", False) for one in bundle.adapter["columns"]] == [False, False]
    assert NO_MISSING in bundle.evidence["notes"]


def test_a_declared_default_stands_for_a_missing_value(people: Any, tmp_path: Path) -> None:
    model = LogisticRegression().fit(people[["age", "grade"]], people["works"])
    (tmp_path / "rows.csv").write_text("age,grade\n" + "31,1\n,2\n50,3\n" * 10)
    (tmp_path / "table.json").write_text(
        '{"kind": "table", "columns": [{"name": "age", "type": "number", "default": "40"}, '
        '{"name": "grade", "type": "number"}]}'
    )

    converted = convert(
        model, name="m", target=tmp_path, data=tmp_path / "rows.csv", adapter=tmp_path / "table.json", quantize="none"
    )

    adapter = registry.load(converted.bundle, converted.folder)
    assert adapter is not None
    assert adapter.apply([{"grade": 2}])["features"].tolist() == [[40, 2]]


def test_rows_with_infinity_make_no_table(people: Any, tmp_path: Path) -> None:
    model = HistGradientBoostingClassifier(max_iter=2).fit(people[["age", "size"]], people["works"])
    (tmp_path / "rows.csv").write_text("age,size\n" + "31,1\n,inf\n50,3\n" * 10)

    converted = convert(model, name="m", target=tmp_path, data=tmp_path / "rows.csv", quantize="none")

    assert converted.bundle.adapter is None


def test_labels_may_be_in_a_column_of_any_name() -> None:
    layout = find_layout(LabelEncoder().fit(["a", "b"]))

    assert to_rows(layout, [{"kind": "a"}, {"kind": "b"}]).tolist() == ["a", "b"]
