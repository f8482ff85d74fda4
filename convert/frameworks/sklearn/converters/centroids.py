"""
The nearest centroid.

Formulas: scikit-learn's user guide, "Nearest Centroid Classifier". The scores are the discriminant function (18.2) of
Hastie et al., "The Elements of Statistical Learning"; the label is that of the nearest centroid if the classes are
equally likely, otherwise that of the highest score.
"""

from typing import Any, Final

import numpy as np

from snooze.convert.frameworks.sklearn.converters.distances import squares_about_mean
from snooze.convert.frameworks.sklearn.converters.kernels import absolute_differences
from snooze.convert.frameworks.sklearn.converters.nodes import Converter, Nodes


def _convert_nearest_centroid(nodes: Nodes, model: Any) -> None:
    rows, centroids = nodes.given(), model.centroids_
    deviations = np.where(model.within_class_std_dev_ == 0, 1, model.within_class_std_dev_)
    distances = absolute_differences if model.metric == "manhattan" else squares_about_mean
    winners = None
    if np.allclose(model.class_prior_, 1 / len(model.classes_), rtol=1e-5, atol=1e-8):
        winners = distances(rows, centroids).argmin()
    scores = -squares_about_mean(rows / deviations, centroids / deviations) + 2 * np.log(model.class_prior_)
    answer = scores.map("Softmax", axis=1)
    if nodes.scoring:
        answer = scores - scores.take([1, 0]) if len(model.classes_) == 2 else scores
    nodes.classify(answer, model.classes_, scores.argmax() if winners is None else winners)


CONVERTERS: Final = (Converter("sklearn.neighbors.NearestCentroid", _convert_nearest_centroid, scores=True),)
