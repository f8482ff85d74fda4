"""How the original runtimes answer, each with its default options."""

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scripts.models.entry import Answers, Array, Question


def ask_onnx(file: Path, questions: Sequence[Question]) -> list[Answers]:
    """Return what ONNX Runtime answers. The probabilities of a ZipMap become columns."""
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_outputs()]
    return [
        {
            name: np.array([list(row.values()) for row in value]) if isinstance(value, list) else np.asarray(value)
            for name, value in zip(names, session.run(None, question), strict=True)
        }
        for question in questions
    ]


def ask_tflite(file: Path, questions: Sequence[Question]) -> list[Answers]:
    """Return what the interpreter of TensorFlow Lite answers. Inputs are in its order."""
    import tensorflow as tf

    with warnings.catch_warnings(action="ignore", category=UserWarning):  # it moves to another package some day
        interpreter = tf.lite.Interpreter(str(file))
    answers = []
    for question in questions:
        for place, array in zip(interpreter.get_input_details(), question.values(), strict=True):
            if tuple(place["shape"]) != array.shape:
                interpreter.resize_tensor_input(place["index"], array.shape, strict=True)
        interpreter.allocate_tensors()
        for place, array in zip(interpreter.get_input_details(), question.values(), strict=True):
            interpreter.set_tensor(place["index"], array)
        interpreter.invoke()
        answers.append({one["name"]: interpreter.get_tensor(one["index"]) for one in interpreter.get_output_details()})
    return answers


def ask_saved_model(folder: Path, questions: Sequence[Question]) -> list[Answers]:
    """Return what the default signature of a SavedModel answers."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(folder))  # keeps the variables
    signature = loaded.signatures["serving_default"]
    return [
        {name: value.numpy() for name, value in sorted(signature(**_constants(question)).items())}
        for question in questions
    ]


def ask_keras(file: Path, questions: Sequence[Question]) -> list[Answers]:
    """Return what a Keras 3 model answers."""
    import keras

    return _call_keras(keras.saving.load_model(file, compile=False), questions)


def ask_tf_keras(file: Path, questions: Sequence[Question]) -> list[Answers]:
    """Return what a Keras 2 model answers."""
    import tf_keras

    return _call_keras(tf_keras.models.load_model(file, compile=False), questions)


def ask_sklearn(file: Path, questions: Sequence[Question]) -> list[Answers]:
    """Return what an estimator in a pickle or a file of skops answers. Columns by name are a frame."""
    import joblib
    import pandas
    import skops.io

    with warnings.catch_warnings(action="ignore"):  # of older versions, and of columns that have no names here
        model = skops.io.load(file) if file.suffix == ".skops" else joblib.load(file)
        asked = [_only(one) if len(one) == 1 else pandas.DataFrame(one) for one in questions]
        if hasattr(model, "predict_proba"):
            return [{"label": model.predict(one), "probabilities": model.predict_proba(one)} for one in asked]
        if hasattr(model, "score_samples"):
            return [{"label": model.predict(one), "score": model.decision_function(one)} for one in asked]
        return [{"value": model.predict(one)} for one in asked]


def ask_lightgbm(file: Path, questions: Sequence[Question], output: str = "value") -> list[Answers]:
    """Return what a booster of LightGBM answers, which has no name there."""
    import lightgbm

    booster = lightgbm.Booster(model_file=str(file))
    return [{output: np.asarray(booster.predict(_only(question)))} for question in questions]


def ask_xgboost(file: Path, questions: Sequence[Question], output: str = "value") -> list[Answers]:
    """Return what a booster of XGBoost answers, which has no name there."""
    import xgboost

    booster = xgboost.Booster(model_file=str(file))
    return [{output: booster.predict(xgboost.DMatrix(_only(question)))} for question in questions]


def ask_torch(file: Path, questions: Sequence[Question]) -> list[Answers]:
    """Return what a program of torch.export or a TorchScript module answers. Inputs are in its order."""
    import torch

    module = torch.export.load(file).module() if file.suffix == ".pt2" else torch.jit.load(file).eval()
    answers = []
    with torch.inference_mode():
        for question in questions:
            values = _listed(module(*(torch.from_numpy(array.copy()) for array in question.values())))
            answers.append({f"output_{at}": value.numpy() for at, value in enumerate(values)})
    return answers


def _call_keras(model: Any, questions: Sequence[Question]) -> list[Answers]:
    """Call a model with its inputs in order."""
    answers = []
    for question in questions:
        inputs = [question[one.name] for one in model.inputs] if len(question) > 1 else _only(question)
        values = _listed(model(inputs, training=False))
        answers.append({name: np.asarray(value) for name, value in zip(model.output_names, values, strict=True)})
    return answers


def _constants(question: Question) -> dict[str, Any]:
    import tensorflow as tf

    return {name: tf.constant(array) for name, array in question.items()}


def _only(question: Question) -> Array:
    (array,) = question.values()
    return array


def _listed(values: Any) -> Iterable[Any]:
    return values if isinstance(values, list | tuple) else [values]
