from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import onnxruntime
import pandas
import pytest
import xgboost

from snooze.bundle.adapters import registry
from snooze.bundle.adapters.table import Column, Declaration
from snooze.bundle.errors import InvalidRow
from snooze.bundle.rows.reading import Rows
from snooze.convert import convert
from snooze.convert.frameworks.boosting.framework import Boosting
from snooze.convert.frameworks.boosting.lightgbm import FRAMEWORK as LIGHTGBM
from snooze.convert.frameworks.boosting.tables import to_rows
from snooze.convert.frameworks.boosting.xgboost import FRAMEWORK as XGBOOST

pytestmark = pytest.mark.framework

CITIES = ("Bonn", "Bremen", "Ulm")


@pytest.fixture(scope="module")
def frame() -> Any:
    """A number, texts and integers as categories; some are missing."""
    random = np.random.default_rng(0)
    age, city, year = random.integers(18, 90, 400), random.choice(CITIES, 400), random.choice([2010, 2020], 400)
    return pandas.DataFrame(
        {
            "age": pandas.Series(age).where(random.random(400) > 0.1),
            "city": pandas.Categorical(pandas.Series(city).where(random.random(400) > 0.1), CITIES),
            "year": pandas.Categorical(year, [2010, 2020]),
            "works": ((age > 40) & (city != "Ulm")) | (year == 2010),
        }
    )


def train(framework: Boosting, frame: Any) -> Any:
    settings: dict[str, Any] = {"n_estimators": 8, "n_jobs": 1}
    if framework is LIGHTGBM:
        model: Any = lightgbm.LGBMClassifier(verbose=-1, **settings)
    else:
        model = xgboost.XGBClassifier(enable_categorical=True, **settings)
    return model.fit(frame.drop(columns="works"), frame["works"].astype(int))


def declared(framework: Boosting, model: Any, rows: Rows | None = None) -> Any:
    return framework.adapter(model, framework.signature(model), rows)


@pytest.fixture(params=[LIGHTGBM, XGBOOST], ids=["lightgbm", "xgboost"])
def framework(request: Any) -> Any:
    return request.param


def test_categories_of_a_frame_are_categories_of_the_table(framework: Boosting, frame: Any) -> None:
    closed = framework is XGBOOST

    assert declared(framework, train(framework, frame)) == Declaration(
        "table",
        (
            Column("age", "number", missing=True),
            Column("city", "text", CITIES, closed, coded=True, missing=True),
            Column("year", "integer", ("2010", "2020"), closed, coded=True, missing=True),
        ),
    )


@pytest.mark.parametrize(
    ("city", "year"),
    [(np.array([0, 2, np.nan]), np.array([0, 1, 1])), (np.array([2, 2, 2]), np.array(["", "1", "0"], object))],
)
def test_rows_may_have_the_codes(framework: Boosting, frame: Any, city: Any, year: Any) -> None:
    rows = Rows({"age": np.array([31, 32, 33]), "city": city, "year": year})

    found = declared(framework, train(framework, frame), rows)

    assert found.columns == tuple(Column(name, "number", missing=True) for name in ("age", "city", "year"))


def test_columns_without_names_have_those_of_the_file(framework: Boosting, frame: Any) -> None:
    model = train(framework, frame.assign(city=frame["city"].cat.codes, year=1)).get_params()
    rows = frame[["age"]].to_numpy(), frame["works"].astype(int)
    trained = (lightgbm.LGBMClassifier if framework is LIGHTGBM else xgboost.XGBClassifier)(**model).fit(*rows)

    assert declared(framework, trained) is None
    expected = Declaration("table", (Column("a", "number", missing=True),))
    assert declared(framework, trained, Rows({"a": np.array([1.0])})) == expected
    assert to_rows(framework.open(trained).ensemble, [{"a": 1.0}, {"a": None}]).shape == (2, 1)


def test_categories_that_xgboost_saves_wrong_are_left_as_codes(frame: Any) -> None:
    cities = frame["city"].cat.rename_categories({"Bremen": "Köln"})

    found = declared(XGBOOST, train(XGBOOST, frame.assign(city=cities)))

    assert found.columns[1] == Column("city", "number", missing=True)


@pytest.mark.parametrize("form", ["categories", "codes"])
def test_raw_rows_get_the_answers_of_the_library(framework: Boosting, frame: Any, tmp_path: Path, form: str) -> None:
    model = train(framework, frame[:200])
    rows = frame[200:].drop(columns="works").reset_index(drop=True)
    sent = rows if form == "categories" else rows.apply(lambda one: one.cat.codes if one.name != "age" else one)
    sent.replace(-1, np.nan).to_csv(tmp_path / "rows.csv", index=False)

    converted = convert(model, name="m", target=tmp_path, data=tmp_path / "rows.csv", quantize="none")

    bundle = converted.bundle
    adapter = registry.load(bundle, converted.folder)
    session = onnxruntime.InferenceSession(converted.folder / bundle.session.file)
    assert adapter is not None
    raw = sent.astype(object).where(sent.notna(), None).to_dict("records")
    if form == "codes":
        raw = [row | {"city": None if row["city"] == -1 else row["city"]} for row in raw]
    labels, probabilities = session.run(None, adapter.apply(raw))
    assert (labels == model.predict(rows)).all()
    np.testing.assert_allclose(probabilities, model.predict_proba(rows), atol=1e-6)
    assert bundle.evidence["adapter"]["data"]["rows"] == 200


def test_an_unknown_category_is_missing_or_refused_as_the_library_has_it(frame: Any, tmp_path: Path) -> None:
    row = {"age": 50.0, "city": "Rom", "year": 2020}
    answers = {}
    for framework in (LIGHTGBM, XGBOOST):
        converted = convert(train(framework, frame), name="m", target=tmp_path, quantize="none")
        answers[framework.name] = converted, registry.load(converted.bundle, converted.folder)

    adapter = answers["lightgbm"][1]
    assert adapter is not None
    inputs = adapter.apply([row, row | {"city": None}])["features"]
    assert np.isnan(inputs[:, 1]).all()
    refusing = answers["xgboost"][1]
    assert refusing is not None
    with pytest.raises(InvalidRow) as caught:
        refusing.apply([row])
    assert caught.value.column == "city"


def test_a_frame_of_rows_has_the_categories_of_the_library(framework: Boosting, frame: Any) -> None:
    model = train(framework, frame)
    opened = framework.open(model)
    raw = [{"age": 50.0, "city": None, "year": 2020}]

    rows = to_rows(opened.ensemble, raw)

    expected = model.predict_proba(
        frame.drop(columns="works")[:0]
        .reindex([0])
        .assign(age=50.0, year=[2020])
        .astype(frame.drop(columns="works").dtypes)
    )[:, 1]
    np.testing.assert_allclose(framework.predict(opened.parts, opened.ensemble, rows), expected, rtol=1e-6)
