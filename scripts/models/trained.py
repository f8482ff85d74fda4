"""The models that are trained in place, on data that packages carry, in each file format."""

import os
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from scripts.models import draw
from scripts.models.entry import EIGHT_BITS, Answers, Array, Entry, Question, split
from scripts.models.originals import (
    ask_keras,
    ask_lightgbm,
    ask_onnx,
    ask_saved_model,
    ask_sklearn,
    ask_tf_keras,
    ask_tflite,
    ask_torch,
    ask_xgboost,
)

if TYPE_CHECKING:
    import pandas

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
SENTENCES: Final = 120
Train: TypeAlias = Callable[[Path], Path]
Questions: TypeAlias = Callable[[], list[Question]]


def entries() -> list[Entry]:
    """Return the entries that are trained in place."""
    return [*_estimators(), *_boosters(), *_networks()]


def _trained(framework: str, name: str, data: str, train: Train, questions: Questions, **rest: Any) -> Entry:
    return Entry(name, framework, f"trained on {data}", train, questions=questions, **rest)


def _estimators() -> list[Entry]:
    entry = partial(_trained, "scikit-learn", original=ask_sklearn, options=("--trust",))
    return [
        entry("frame", "diabetes", _train_frame, _patients, scores="probabilities"),
        entry("texts", "descriptions", _train_texts, _sentences, scores="probabilities"),
        entry("forest", "wine", _train_forest, _wines, scores="probabilities"),
        entry("skops", "tumours", _save_with_skops, _tumours, options=(), scores="probabilities"),
        entry("outliers", "wine", _train_outliers, _wines),
    ]


def _boosters() -> list[Entry]:
    light, extreme = partial(_trained, "LightGBM"), partial(_trained, "XGBoost")
    pickle: dict[str, Any] = {"original": ask_sklearn, "options": ("--trust",)}
    return [
        light("lightgbm-txt", "wine", _train_lightgbm, _wines, **_classes(ask_lightgbm)),
        light("lightgbm-bst", "diabetes", _train_lightgbm_coded, _coded_patients, **_classes(ask_lightgbm)),
        light("lightgbm-pipeline", "diabetes", _train_lightgbm_pipeline, _patients, **pickle),
        extreme("xgboost-json", "wine", _train_xgboost_classes, _wines, **_classes(ask_xgboost)),
        extreme("xgboost-ubj", "diabetes", _train_xgboost_values, _coded_patients, original=ask_xgboost),
        extreme("xgboost-joblib", "tumours", _train_xgboost_wrapper, _tumours, scores="probabilities", **pickle),
    ]


def _classes(ask: Callable[..., list[Answers]]) -> dict[str, Any]:
    """Return how a booster answers that tells classes apart."""
    return {"original": partial(ask, output="probabilities"), "scores": "probabilities"}


def _networks() -> list[Entry]:
    keras, tflite = partial(_trained, "Keras"), partial(_trained, "TFLite", original=ask_tflite)
    torch = partial(_trained, "PyTorch", original=ask_torch, needs=("torch",))
    names: dict[str, Any] = {"labels": ("output_label",), "scores": "output_probability"}
    return [
        keras("keras", "digits", _train_keras, _digits, original=ask_keras, scores="digit"),
        keras("keras-sequences", "nothing", _build_sequences, _words, original=ask_keras),
        keras("keras-2-h5", "digits", _train_keras_2, _digits, original=ask_tf_keras, scores="digit"),
        _trained("TensorFlow", "saved-model", "nothing", _save_module, _pairs, original=ask_saved_model),
        tflite("tflite", "digits", _train_tflite, _digits),
        tflite("tflite-8-bits", "digits", _train_tflite_8_bits, _digits, tolerance=EIGHT_BITS),
        _trained("ONNX", "zipmap", "wine", _export_zipmap, _wines, original=ask_onnx, **names),
        torch("torchscript", "nothing", _trace_torch, _digits, give_rows=True),
        torch("torch-export", "nothing", _export_torch, _digits, options=("--trust",)),
    ]


@cache
def _wine() -> tuple[Array, Array]:
    from sklearn.datasets import load_wine

    rows, classes = load_wine(return_X_y=True)
    return np.asarray(rows, np.float32), np.asarray(classes)


def _wines() -> list[Question]:
    return split({"features": _wine()[0][::-3]}, 1, 59)


@cache
def _tumour() -> tuple[Array, Array]:
    from sklearn.datasets import load_breast_cancer

    rows, classes = load_breast_cancer(return_X_y=True)
    return np.asarray(rows, np.float32), np.asarray(classes)


def _tumours() -> list[Question]:
    return split({"features": _tumour()[0][::5]}, 1, 113)


@cache
def _diabetes() -> "tuple[pandas.DataFrame, Array]":
    """Return patients with a text, whole numbers and missing values, and whether their disease progressed."""
    from sklearn.datasets import load_diabetes

    rows, progression = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    rows = rows[["age", "sex", "bmi", "bp", "s1", "s5"]].astype({"age": "int64"})
    rows["sex"] = np.where(rows["sex"] == 1, "male", "female").astype(object)
    rows.loc[::7, "bmi"] = np.nan
    return rows, np.where(progression > 140, "high", "low")


def _patients() -> list[Question]:
    rows = _diabetes()[0]
    return split({name: rows[name].to_numpy()[::-4] for name in rows}, 1, 100)


def _coded() -> Array:
    """Return the patients as numbers, where sex is a category of two codes."""
    rows = _diabetes()[0].assign(sex=lambda rows: (rows["sex"] == "male").astype(int))
    return np.asarray(rows.to_numpy(np.float32))


def _coded_patients() -> list[Question]:
    return split({"features": _coded()[::-4]}, 1, 100)


@cache
def _lines() -> tuple[list[str], Array]:
    texts = draw.texts(SENTENCES)
    return texts, np.array(["measured" if any(sign.isdigit() for sign in text) else "told" for text in texts])


def _sentences() -> list[Question]:
    return split({"text": np.array(_lines()[0][::-2], object)}, 1, 50)


@cache
def _pictures() -> tuple[Array, Array]:
    from sklearn.datasets import load_digits

    rows, classes = load_digits(return_X_y=True)
    return (rows / 16).astype(np.float32).reshape(-1, 8, 8, 1), classes


def _digits() -> list[Question]:
    return split({"picture": _pictures()[0][::-20]}, 1, 60)


def _words() -> list[Question]:
    random = np.random.default_rng(0)
    words = random.integers(0, 10_000, (40, 12)).astype(np.int32)
    return split({"words": words, "author": draw.noise(40, 5)}, 1, 32)


def _pairs() -> list[Question]:
    return split({"left": draw.noise(40, 6), "right": draw.noise(40, 6)[::-1].copy()}, 1, 32)


def _dump(model: Any, folder: Path) -> Path:
    import joblib

    file = folder / "model.joblib"
    joblib.dump(model, file)
    return file


def _prepare_columns(*scaler: Any) -> Any:
    """Return the usual preparation of mixed columns: missing numbers are filled in, texts become columns of 0 and 1."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    numbers = make_pipeline(SimpleImputer(), *scaler)
    texts = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return ColumnTransformer([("numbers", numbers, ["age", "bmi", "bp", "s1", "s5"]), ("texts", texts, ["sex"])])


def _train_frame(folder: Path) -> Path:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    columns = _prepare_columns(StandardScaler())
    return _dump(make_pipeline(columns, LogisticRegression()).fit(*_diabetes()), folder)


def _train_texts(folder: Path) -> Path:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    return _dump(make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression()).fit(*_lines()), folder)


def _train_forest(folder: Path) -> Path:
    from sklearn.ensemble import RandomForestClassifier

    return _dump(RandomForestClassifier(50, random_state=0).fit(*_wine()), folder)


def _save_with_skops(folder: Path) -> Path:
    import skops.io
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    file = folder / "model.skops"
    skops.io.dump(make_pipeline(StandardScaler(), PCA(10), LogisticRegression()).fit(*_tumour()), file)
    return file


def _train_outliers(folder: Path) -> Path:
    from sklearn.ensemble import IsolationForest

    return _dump(IsolationForest(n_estimators=50, random_state=0).fit(_wine()[0]), folder)


def _train_lightgbm(folder: Path) -> Path:
    import lightgbm

    rows, classes = _wine()
    file = folder / "model.txt"
    settings = {"objective": "multiclass", "num_class": 3, "verbose": -1, "num_threads": 1}
    lightgbm.train(settings, lightgbm.Dataset(rows, classes), 20).save_model(file)
    return file


def _train_lightgbm_coded(folder: Path) -> Path:
    import lightgbm

    data = lightgbm.Dataset(_coded(), _diabetes()[1] == "high", categorical_feature=[1])
    file = folder / "model.bst"
    lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1}, data, 20).save_model(file)
    return file


def _train_lightgbm_pipeline(folder: Path) -> Path:
    from lightgbm import LGBMRegressor
    from sklearn.datasets import load_diabetes
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(_prepare_columns(), LGBMRegressor(n_estimators=20, verbose=-1, n_jobs=1))
    return _dump(model.fit(_diabetes()[0], load_diabetes().target), folder)


def _train_xgboost_classes(folder: Path) -> Path:
    from xgboost import XGBClassifier

    file = folder / "model.json"
    XGBClassifier(n_estimators=20, n_jobs=1).fit(*_wine()).save_model(file)
    return file


def _train_xgboost_values(folder: Path) -> Path:
    import xgboost
    from sklearn.datasets import load_diabetes

    file = folder / "model.ubj"
    data = xgboost.DMatrix(_coded(), load_diabetes().target)
    xgboost.train({"objective": "reg:squarederror", "nthread": 1}, data, 20).save_model(file)
    return file


def _train_xgboost_wrapper(folder: Path) -> Path:
    from xgboost import XGBClassifier

    return _dump(XGBClassifier(n_estimators=20, n_jobs=1).fit(*_tumour()), folder)


def _digit_network(keras: Any) -> Any:
    """Return a small network on pictures, of Keras 3 or 2."""
    layers = keras.layers
    picture = keras.Input((8, 8, 1), name="picture")
    found = layers.Conv2D(8, 3, padding="same", activation="relu")(picture)
    found = layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same")(found))
    found = layers.Flatten()(layers.MaxPooling2D()(found))
    network = keras.Model(picture, layers.Dense(10, activation="softmax", name="digit")(found))
    network.compile("adam", "sparse_categorical_crossentropy")
    network.fit(*_pictures(), epochs=5, batch_size=32, verbose=0)
    return network


def _train_keras(folder: Path) -> Path:
    import keras

    file = folder / "model.keras"
    _digit_network(keras).save(file)
    return file


def _train_keras_2(folder: Path) -> Path:
    import warnings

    import tf_keras

    file = folder / "model.h5"
    with warnings.catch_warnings(action="ignore"):  # it would rather save .keras files
        _digit_network(tf_keras).save(file)
    return file


def _build_sequences(folder: Path) -> Path:
    """Save a network with two inputs, of a kind each, and two outputs."""
    import keras

    layers = keras.layers
    words, author = keras.Input((None,), name="words", dtype="int32"), keras.Input((5,), name="author")
    read = layers.Bidirectional(layers.LSTM(8))(layers.Embedding(10_000, 16)(words))
    found = layers.Dense(16, activation="gelu")(layers.Concatenate()([read, author]))
    outputs = [layers.Dense(3, activation="softmax", name="topic")(found), layers.Dense(1, name="length")(found)]
    file = folder / "model.keras"
    keras.Model([words, author], outputs).save(file)
    return file


def _save_module(folder: Path) -> Path:
    """Save a module of TensorFlow with two inputs and outputs."""
    import tensorflow as tf

    class Distance(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.weights = tf.Variable(draw.noise(6, 4))

        @tf.function(input_signature=[tf.TensorSpec([None, 6], name="left"), tf.TensorSpec([None, 6], name="right")])  # type: ignore[untyped-decorator]
        def measure(self, left: Any, right: Any) -> dict[str, Any]:
            difference = tf.matmul(left - right, self.weights)
            return {"distance": tf.norm(difference, axis=1), "direction": tf.nn.l2_normalize(difference, 1)}

    module = Distance()
    saved = folder / "module"
    tf.saved_model.save(module, str(saved), signatures={"serving_default": module.measure})
    return saved


def _train_tflite(folder: Path) -> Path:
    return _write_tflite(folder, in_8_bits=False)


def _train_tflite_8_bits(folder: Path) -> Path:
    return _write_tflite(folder, in_8_bits=True)


def _write_tflite(folder: Path, in_8_bits: bool) -> Path:
    import keras
    import tensorflow as tf

    exported = folder / "exported"
    _digit_network(keras).export(exported, verbose=False)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(exported))
    if in_8_bits:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([row[None]] for row in _pictures()[0][:100])
    file = folder / "model.tflite"
    file.write_bytes(converter.convert())
    return file


def _export_zipmap(folder: Path) -> Path:
    """Save what skl2onnx makes by itself: the probabilities are a mapping for each row, which no tensor can carry."""
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows, classes = _wine()
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, np.array(["red", "rose", "white"])[classes])
    file = folder / "model.onnx"
    inputs = [("features", FloatTensorType([None, rows.shape[1]]))]
    file.write_bytes(to_onnx(model, initial_types=inputs).SerializeToString())
    return file


def _torch_network() -> Any:
    import torch

    torch.manual_seed(0)
    nn = torch.nn
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.GELU(), nn.Linear(32, 10), nn.Softmax(1)).eval()


def _trace_torch(folder: Path) -> Path:
    import torch

    file = folder / "model.pt"
    torch.jit.trace(_torch_network(), torch.from_numpy(_pictures()[0][:2])).save(str(file))
    return file


def _export_torch(folder: Path) -> Path:
    import torch

    file = folder / "model.pt2"
    sample = (torch.from_numpy(_pictures()[0][:2]),)
    program = torch.export.export(_torch_network(), sample, dynamic_shapes=({0: torch.export.Dim("rows")},))
    torch.export.save(program, file)
    return file
