"""Which columns of the input the trees behind a scaler read, and how the scaler changes them."""

from typing import Any, TypeAlias

import numpy as np

from snooze.convert.frameworks.interface import Feature
from snooze.convert.frameworks.sklearn.columns import FEATURES, Layout
from snooze.convert.frameworks.sklearn.parts import parts, stand_in

Features: TypeAlias = list[Feature | None]


def find_features(model: Any, layout: Layout) -> tuple[Feature | None, ...] | None:
    """Return the features that the trees in a model read, if there are steps before them that are known."""
    columns = _find_columns(layout)
    found = _before_last(model, columns)
    if found is None or found == columns:
        return None
    single = not any(_compares_in_double(part) for part in parts(model))
    return tuple(one and one._replace(single=single) for one in found)


def _compares_in_double(part: Any) -> bool:
    return "HistGradientBoosting" in type(part).__name__ or type(part).__module__.startswith("lightgbm")


def _find_columns(layout: Layout) -> Features:
    """Return the numbers among the columns that a model was trained on; None for a text, or one that is no input."""
    features: Features = [None] * layout.width
    for at, one in enumerate(layout.columns):
        if one.kind != "text":
            features[one.place] = Feature(FEATURES, at) if layout.form == "matrix" else Feature(one.name, 0)
    return features


def _before_last(model: Any, columns: Features) -> Features | None:
    """Return the features that the last step of a model reads."""
    found: Features | None = columns
    while (inner := stand_in(model)) is not None:
        model = inner
    for _, step in getattr(model, "steps", ())[:-1]:
        found = found and _follow(step, found)
    return found


def _follow(step: Any, features: Features) -> Features | None:
    """Return the features after a step, None if they are not known: the step mixes columns, or is not linear."""
    kind = type(step).__name__
    if step == "passthrough" or (kind == "FunctionTransformer" and step.func is None):
        return features
    if kind == "Pipeline":
        found: Features | None = features
        for _, inner in step.steps:
            found = found and _follow(inner, found)
        return found
    if kind == "ColumnTransformer":
        return _follow_columns(step, features)
    if kind == "SimpleImputer" and not step.add_indicator and all(one == one for one in step.statistics_):  # no NaN
        return features
    if hasattr(step, "get_support"):
        return [one for one, kept in zip(features, step.get_support(), strict=True) if kept]
    if (scaling := _scaling(step, kind)) is None:
        return None
    centers, scales = (np.broadcast_to(values, len(features)).tolist() for values in scaling)
    return [
        one and one._replace(center=one.center + center * one.scale, scale=one.scale * scale)
        for one, center, scale in zip(features, centers, scales, strict=True)
    ]


def _scaling(step: Any, kind: str) -> tuple[Any, Any] | None:
    """Return center and scale of a scaler, which gives `(column - center) / scale`."""
    if kind == "StandardScaler":
        return _or(step.mean_, 0.0, step.with_mean), _or(step.scale_, 1.0)
    if kind == "RobustScaler":
        return _or(step.center_, 0.0), _or(step.scale_, 1.0)
    if kind == "MinMaxScaler" and not step.clip:
        return -step.min_ / step.scale_, 1 / step.scale_
    if kind == "MaxAbsScaler":
        return 0.0, step.scale_
    return None


def _or(values: Any, default: float, used: bool = True) -> Any:
    return values if used and values is not None else default


def _follow_columns(step: Any, features: Features) -> Features:
    found: Features = [None] * max(places.stop for places in step.output_indices_.values())
    for name, transformer, _ in step.transformers_:
        picked = [features[at] for at in step._transformer_to_input_indices.get(name, ())]
        places = step.output_indices_[name]
        made = None if transformer == "drop" or not picked else _follow(transformer, picked)
        if made is not None and len(made) == places.stop - places.start:
            found[places] = made
    return found
