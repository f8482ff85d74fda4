import bz2
import gzip
import lzma
import pickle
import sys
import warnings
import zipfile
import zlib
from collections import UserList
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import skops.io
from scipy.sparse import diags_array
from sklearn import __version__
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.decomposition import NMF
from sklearn.ensemble import AdaBoostClassifier, HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.feature_selection import SelectFromModel
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.utils import check_array

from snooze.bundle.errors import MissingExtra
from snooze.convert.errors import NotAModel, Untrusted
from snooze.convert.frameworks.sklearn.files import is_pickle, is_skops, load_pickle, load_skops, repair
from snooze.convert.frameworks.sklearn.framework import FRAMEWORK

pytestmark = pytest.mark.framework

ROWS = np.array([[0.0, 3.0], [1.0, np.nan], [2.0, 1.0]])


def save_as(version: str, model: BaseEstimator, path: Path) -> Path:
    """Pickle a model as if another version of scikit-learn had done it."""
    content = pickle.dumps(model, protocol=3)  # without frames, whose lengths would have to change
    old, new = (b"X" + len(one).to_bytes(4, "little") + one.encode() for one in (__version__, version))
    assert old in content
    path.write_bytes(content.replace(old, new))
    return path


@pytest.mark.parametrize(
    "compress", [bytes, gzip.compress, zlib.compress, bz2.compress, lzma.compress], ids=lambda one: one.__module__
)
def test_compressed_files_are_recognized_by_their_content(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(compress(pickle.dumps(LinearRegression().fit(ROWS[:, :1], ROWS[:, 0]))))
    assert is_pickle(path)
    assert FRAMEWORK.recognizes_file(path)
    assert FRAMEWORK.needs_trust(path)
    assert isinstance(FRAMEWORK.load(path, trust=True).model, LinearRegression)

    path.write_bytes(compress(b"a,b\n1,2\n" * 20))
    assert not FRAMEWORK.recognizes_file(path)


@pytest.mark.parametrize("method", ["zlib", "gzip", "bz2", "xz", "lzma"])
def test_recognizes_what_joblib_compresses(tmp_path: Path, method: str) -> None:
    joblib.dump(LinearRegression(), tmp_path / "model", compress=(method, 3))

    assert is_pickle(tmp_path / "model")


def test_other_files_are_no_pickles(tmp_path: Path) -> None:
    for name, content in {"empty": b"", "text": b"x is not compressed", "gzip": b"\x1f\x8bdamaged"}.items():
        (tmp_path / name).write_bytes(content)
        assert not FRAMEWORK.recognizes_file(tmp_path / name)
    assert not FRAMEWORK.recognizes_file(tmp_path)


class Exit:
    """Ends the process that reads it from a pickle."""

    def __reduce__(self) -> tuple[Any, ...]:
        return sys.exit, (0,)


def test_a_pickle_that_ends_the_process_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(Exit()))

    with pytest.raises(NotAModel, match=r"model\.pkl: cannot be read: SystemExit: 0$"):
        load_pickle(tmp_path / "model.pkl")


def test_a_pickle_that_needs_a_missing_module_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(b"cno_such_module\nModel\n.")

    with pytest.raises(NotAModel, match="needs the module 'no_such_module' to be read"):
        load_pickle(tmp_path / "model.pkl")


def test_warns_of_a_model_saved_by_another_version(tmp_path: Path) -> None:
    path = save_as("1.2.0", LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0]), tmp_path / "model.pkl")

    (warning,) = load_pickle(path).warnings

    assert warning == f"saved by scikit-learn 1.2.0 and read by {__version__}, where it may answer differently"


def test_repairs_what_older_versions_did_not_know(tmp_path: Path) -> None:
    model = make_pipeline(
        make_column_transformer((SimpleImputer(), [0, 1]), remainder=MaxAbsScaler()), RidgeClassifier()
    ).fit(np.c_[ROWS, ROWS[:, 0]], [0, 1, 1])
    expected = model.predict(np.c_[ROWS, ROWS[:, 0]])
    transformer: ColumnTransformer = model[0]
    del transformer.transformers_[0][1]._fill_dtype
    del transformer.transformers_[1][1].clip
    del model[-1].classes_
    name, inner, columns = transformer.transformers_[1]
    transformer.transformers_[1] = (name, inner, UserList(columns))

    loaded = load_pickle(save_as("1.5.2", model, tmp_path / "model.pkl")).model

    np.testing.assert_array_equal(loaded.predict(np.c_[ROWS, ROWS[:, 0]]), expected)
    assert loaded[0].transformers_[1][2] == columns
    assert type(loaded[0].transformers_[1][2]) is list


def test_classes_of_older_versions_are_found(tmp_path: Path) -> None:
    """Losses of boosting came from the module `_loss` by a function, and lists of columns had a class of their own."""
    columns = b"csklearn.compose._column_transformer\n_RemainderColsList\n((lp0\nI1\natR."
    loss = b"c_loss\n__pyx_unpickle_CyHalfSquaredError\n(c_loss\nCyHalfSquaredError\nI1\nNtR."
    (tmp_path / "columns.pkl").write_bytes(columns)
    (tmp_path / "loss.pkl").write_bytes(loss)

    assert load_pickle(tmp_path / "columns.pkl").model == [1]
    assert type(load_pickle(tmp_path / "loss.pkl").model).__name__ == "CyHalfSquaredError"
    assert "_loss" not in sys.modules


@pytest.mark.parametrize("compress", [bytes, zlib.compress], ids=["plain", "compressed"])
def test_an_older_version_that_cannot_be_read_is_named(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    path = save_as("1.1.3", LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0]), tmp_path / "model.pkl")
    path.write_bytes(compress(path.read_bytes().replace(b"LinearRegression", b"AncientRegressor")))

    with pytest.raises(NotAModel) as caught:
        load_pickle(path)

    assert caught.value.problem.startswith(f"saved by scikit-learn 1.1.3, which {__version__} cannot read (")
    assert caught.value.problem.endswith(f"); train it again with {__version__}")


def test_a_model_that_would_answer_differently_is_refused(tmp_path: Path) -> None:
    model = AdaBoostClassifier().fit([[0.0], [1.0]], [0, 1])
    model.algorithm = "SAMME.R"

    with pytest.raises(NotAModel, match=r"AdaBoostClassifier with algorithm='SAMME\.R' answers differently in"):
        load_pickle(save_as("1.3.2", model, tmp_path / "model.pkl"))


def test_a_model_that_does_not_know_what_newer_versions_need_is_refused(tmp_path: Path) -> None:
    model = NearestCentroid().fit([[0.0], [1.0], [2.0]], [0, 1, 1])
    del model.class_prior_

    with pytest.raises(NotAModel, match=r"saved by scikit-learn 1\.5\.2, whose NearestCentroid does not know"):
        load_pickle(save_as("1.5.2", model, tmp_path / "model.pkl"))


def test_renames_what_older_versions_called_otherwise(tmp_path: Path) -> None:
    weights = TfidfTransformer().fit(np.eye(3))
    weights._idf_diag = diags_array(vars(weights).pop("idf_"))
    trained = SelfTrainingClassifier(LogisticRegression()).fit([[0.0], [1.0], [2.0]], [0, 1, -1])
    trained.base_estimator, trained.estimator = trained.estimator, None
    trained.base_estimator_ = vars(trained).pop("estimator_")
    factors = NMF().fit(np.eye(3) + 1)
    factors.n_components = "warn"
    chosen = SelectFromModel(LogisticRegression()).fit([[0.0], [1.0]], [0, 1])
    chosen.estimator_.l1_ratio = None
    for model, rows in ((weights, np.eye(3)), (trained, [[3.0]]), (factors, np.eye(3)), (chosen, [[3.0]])):
        loaded = load_pickle(save_as("1.3.2", model, tmp_path / "model.pkl")).model

        getattr(loaded, "predict" if model is trained else "transform")(rows)


def test_the_encoder_of_boosting_is_told_which_numbers_are_finite_as_newer_versions_are(tmp_path: Path) -> None:
    rows = np.c_[[0.0, 1, 2] * 10, np.arange(30.0)]
    model = HistGradientBoostingRegressor(max_iter=2, categorical_features=[0], min_samples_leaf=2).fit(
        rows, rows[:, 0]
    )
    numbers = model._preprocessor.named_transformers_["numerical"]
    numbers.func = partial(check_array, dtype=[np.float64], force_all_finite=False)

    loaded = load_pickle(save_as("1.5.2", model, tmp_path / "model.pkl")).model

    assert np.isfinite(loaded.predict([[1.0, np.nan]])).all()


def test_estimators_of_others_are_not_repaired() -> None:
    class Other(BaseEstimator):
        def __init__(self, setting: int = 1) -> None:
            pass

    assert not hasattr(repair(Other()), "setting")


def test_reads_skops_files(tmp_path: Path) -> None:
    path = tmp_path / "model.zip"
    skops.io.dump(make_pipeline(StandardScaler(), LogisticRegression()).fit(ROWS[:, :1], [0, 1, 1]), path)

    assert is_skops(path)
    assert FRAMEWORK.recognizes_file(path)
    assert not FRAMEWORK.needs_trust(path)
    assert FRAMEWORK.load(path).model.predict([[5.0]]) == [1]


def test_types_that_skops_does_not_trust_are_named(tmp_path: Path) -> None:
    skops.io.dump(RandomForestRegressor(2).fit(ROWS[:, :1], ROWS[:, 0]), tmp_path / "model.skops")

    with pytest.raises(Untrusted) as caught:
        FRAMEWORK.load(tmp_path / "model.skops")

    assert caught.value.types == ("sklearn.tree._tree.Tree",)
    assert str(caught.value).endswith("if you made it or trust its author, add --trust")
    assert isinstance(FRAMEWORK.load(tmp_path / "model.skops", trust=True).model, RandomForestRegressor)


def test_damaged_skops_files_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.skops", "w") as archive:
        archive.writestr("schema.json", "{}")

    with pytest.raises(NotAModel, match="cannot be read: "):
        FRAMEWORK.load(tmp_path / "model.skops")


def test_another_zip_is_not_skops(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    (tmp_path / "damaged.zip").write_bytes(b"PK\x03\x04damaged")

    assert not is_skops(tmp_path / "model.keras")
    assert not is_skops(tmp_path / "damaged.zip")


def test_names_the_extra_of_skops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skops", None)

    with pytest.raises(MissingExtra) as caught:
        load_skops(tmp_path / "model.skops", trust=False)

    assert (caught.value.module, caught.value.extra) == ("skops", "sklearn")


def test_reading_adds_no_warning_to_a_current_model(tmp_path: Path) -> None:
    joblib.dump(LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0]), tmp_path / "model.joblib")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_pickle(tmp_path / "model.joblib").warnings == ()
