"""Which rows are drawn for a model where there are none, from what it learned: means, thresholds, categories, words."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from snooze.convert.checks.cases import Array
from snooze.convert.frameworks.interface import Domain, Input, Inputs
from snooze.convert.frameworks.sklearn.columns import Column, Layout, Use, is_missing
from snooze.convert.frameworks.sklearn.parts import as_list, parts

UNKNOWN: Final = "unknown"  # a category or word that no model was trained on
COLOURS: Final = ("blue", "green", "red", "yellow")  # words of texts for models without a vocabulary
TEXTS: Final = 64
MAX_TREES: Final = 50  # whose thresholds say which values a feature has

# What estimators call the center of each feature and its scale.
SCALES: Final = (("mean_", "scale_"), ("center_", "scale_"), ("_mean", "_scale"))
ROWS: Final = (
    "_fit_X",
    "X_fit_",
    "X_",
    "support_vectors_",
    "cluster_centers_",
    "subcluster_centers_",
    "theta_",
    "means_",
    "X_train_",
)  # like those trained on
POSITIVE: Final = 6.0  # a center, with the scale 1


class Spread(NamedTuple):
    """The center and the scale of a feature's values; None if it is not known."""

    center: float | None = None
    scale: float | None = None


def find_inputs(layout: Layout, model: Any) -> Inputs:
    """Return the inputs of a model, with the domains from which rows are drawn."""
    tensors = layout.tensors()
    if layout.form == "texts":
        return (Input(tensors[0], domain=Domain(choices=draw_texts(model))),)
    if layout.form == "labels":
        return (Input(tensors[0], domain=Domain(choices=tuple(np.asarray(model.classes_).tolist()))),)
    if layout.form == "matrix":
        spreads = [_spread(one.uses) for one in layout.columns]
        center, scale = (np.array(one, np.float64) for one in zip(*spreads, strict=True))
        choices = tuple(
            tuple(value for use in one.uses for value in _categories(use)) or None for one in layout.columns
        )
        return (Input(tensors[0], domain=Domain(center, scale, columns=choices)),)
    return tuple(Input(tensor, domain=_domain(one)) for tensor, one in zip(tensors, layout.columns, strict=True))


def draw_texts(*readers: Any) -> tuple[str, ...]:
    """Return texts of several words from the vocabularies of models that read texts, one empty, and unknown words."""
    found = [part.vocabulary_ for reader in readers for part in parts(reader) if hasattr(part, "vocabulary_")]
    words = sorted({str(word) for vocabulary in found for word in vocabulary}) or list(COLOURS)
    generator = np.random.default_rng(0)
    texts = [" ".join(generator.choice(words, generator.integers(1, 12))) for _ in range(TEXTS)]
    mixed = [f"{text.capitalize()}, {UNKNOWN} Ärger x {text}!" for text in texts[:8]]
    return ("", UNKNOWN, *mixed, *texts)


def _domain(column: Column) -> Domain:
    if column.kind == "text" and any(hasattr(use.reader, "build_analyzer") for use in column.uses):
        return Domain(choices=draw_texts(*(use.reader for use in column.uses)))
    categories = [value for use in column.uses for value in _categories(use)]
    if column.kind == "number":
        center, scale = _spread(column.uses)
        return Domain(choices=tuple(categories)) if categories else Domain(center, scale)
    if column.kind == "integer":
        return Domain(choices=tuple(categories))
    if column.missing != "":
        categories.append("")
    return Domain(choices=tuple(dict.fromkeys(categories)) or (UNKNOWN, ""))


def _categories(use: Use) -> Iterator[Any]:
    """Yield the categories of a column, and an unknown one if its encoder accepts that."""
    if not hasattr(use.reader, "categories_"):
        if use.kind == "text":
            yield str(use.reader.statistics_[use.at])
        return
    known = np.asarray(use.reader.categories_[use.at]).tolist()
    if use.kind == "text":
        yield from (value for value in known if not is_missing(value))
    else:
        yield from (int(value) if use.kind == "integer" else value for value in known)
    if getattr(use.reader, "handle_unknown", "ignore") != "error":
        yield UNKNOWN if use.kind == "text" else max(filter(np.isfinite, known), default=0) + 1


def _spread(uses: Sequence[Use]) -> tuple[float, float]:
    """Return the center and scale of a column from the first estimators that know them, else 0 and 1."""
    found = [_learned(use) for use in uses]
    center = next((one.center for one in found if one.center is not None and np.isfinite(one.center)), 0.0)
    scale = next((one.scale for one in found if one.scale is not None and 0 < one.scale < np.inf), 1.0)
    return center, scale


def _learned(use: Use) -> Spread:
    reader, at = use.reader, use.at
    for center, scale in SCALES:
        if _has(reader, center, at) and _has(reader, scale, at):
            return Spread(float(getattr(reader, center)[at]), float(getattr(reader, scale)[at]))
    if _has(reader, "data_min_", at) and _has(reader, "data_max_", at):
        least, most = float(reader.data_min_[at]), float(reader.data_max_[at])
        return Spread((least + most) / 2, (most - least) / 4)
    if _has(reader, "n_categories_", at):  # numbers from 0 on, and no others
        return Spread(reader.n_categories_[at] / 2, reader.n_categories_[at] / 12)
    for center in ("statistics_", "mean_"):
        if _has(reader, center, at):
            return Spread(float(getattr(reader, center)[at]))
    if hasattr(reader, "categories_"):
        known = np.asarray(reader.categories_[at], np.float64)
        return Spread(float(np.nanmean(known)), float(np.nanstd(known)))
    for name in ROWS:
        rows = getattr(reader, name, None)
        if isinstance(rows, np.ndarray) and rows.ndim == 2 and len(rows) and at < rows.shape[1]:
            return Spread(float(rows[:, at].mean()), float(rows[:, at].std()))
    ends = _ends(reader, at)  # beyond which some refuse numbers, or have no answer for them
    if ends is not None and np.isfinite(ends).all():
        return Spread(float(ends.max() + ends.min()) / 2, float(np.ptp(ends)) / 10)
    if _takes_no_negatives(reader):
        return Spread(POSITIVE, 1.0)
    limits = _thresholds(reader, at)
    return Spread(float(limits.mean()), float(limits.std()) or None) if limits.size else Spread()


def _ends(reader: Any, at: int) -> Array | None:
    """Return numbers between which a transformer, or an isotonic regression, saw those of a column."""
    if hasattr(reader, "X_thresholds_"):
        return np.asarray(reader.X_thresholds_)
    if hasattr(reader, "quantiles_"):
        return np.asarray(reader.quantiles_[[0, -1], at])
    if hasattr(reader, "bin_edges_"):
        return np.asarray(reader.bin_edges_[at])
    if hasattr(reader, "bsplines_"):
        spline = reader.bsplines_[at]
        return np.asarray(spline.t[spline.k : len(spline.t) - spline.k])
    return None


def _takes_no_negatives(reader: Any) -> bool:
    from sklearn.utils import get_tags

    if not type(reader).__module__.startswith("sklearn."):
        return False
    others = getattr(reader, "method", None) == "box-cox" or hasattr(reader, "skewedness")
    return get_tags(reader).input_tags.positive_only or others


def _has(reader: Any, name: str, at: int) -> bool:
    array = getattr(reader, name, None)
    return isinstance(array, np.ndarray) and array.ndim == 1 and at < len(array)


def _thresholds(reader: Any, feature: int) -> Array:
    """Return the thresholds of a feature in the first trees of an estimator."""
    trees = [one for item in as_list(getattr(reader, "estimators_", [reader]))[:MAX_TREES] for one in as_list(item)]
    found: list[Any] = [getattr(one, "tree_", None) for one in trees]
    limits = [tree.threshold[tree.feature == feature] for tree in found if hasattr(tree, "threshold")]
    predictors = [one for row in getattr(reader, "_predictors", [])[:MAX_TREES] for one in row]
    for nodes in (one.nodes for one in predictors):
        splits = nodes[(nodes["is_leaf"] == 0) & (nodes["feature_idx"] == feature)]
        limits.append(splits["num_threshold"])
    known = np.concatenate([np.zeros(0), *limits])
    return np.asarray(known[np.isfinite(known)])  # an infinite one tells missing values from others
