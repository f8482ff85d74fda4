"""
Projections: transformers that multiply centered rows by a matrix.

Formulas: scikit-learn's user guide, "Decomposing signals in components" and "Random Projection". FactorAnalysis gives
the expected latent variables (Barber, "Bayesian Reasoning and Machine Learning", 21.2.33), SparsePCA the ridge
regression of rows on its components (`sklearn.linear_model.ridge_regression`), and BernoulliRBM the probabilities of
its hidden units ("Neural network models (unsupervised)").
"""

from typing import Any, Final

import numpy as np

from snooze.convert.checks.cases import Array
from snooze.convert.frameworks.sklearn.converters.nodes import Converter, Nodes, Value


def project(rows: Value, matrix: Array, mean: Array | float = 0.0, offset: Array | float = 0.0) -> Value:
    """
    Return `(rows - mean) @ matrix + offset` [rows, columns of the matrix].

    What is subtracted is the mean as single precision holds it, because that difference is exact for rows close to the
    mean; the rest of the mean is part of the offset.
    """
    mean = np.broadcast_to(mean, len(matrix))
    center = mean.astype(np.float32).astype(np.float64)
    offset = np.broadcast_to(offset - (mean - center) @ matrix, matrix.shape[1])
    if center.any():
        rows = rows - center
    return rows.map("Gemm", matrix, offset) if offset.any() else rows @ matrix


def _convert_ica(nodes: Nodes, model: Any) -> None:
    nodes.answer(project(nodes.given(), model.components_.T, model.mean_ if model.whiten else 0.0))


def _convert_factors(nodes: Nodes, model: Any) -> None:
    weights = model.components_ / model.noise_variance_
    latent = np.eye(len(weights)) + weights @ model.components_.T  # the inverse of their covariance
    nodes.answer(project(nodes.given(), np.linalg.solve(latent, weights).T, model.mean_))


def _convert_sparse_pca(nodes: Nodes, model: Any) -> None:
    left, sizes, right = np.linalg.svd(model.components_.T, full_matrices=False)
    inverted = np.where(sizes > 1e-15, sizes / np.maximum(sizes**2 + model.ridge_alpha, 1e-300), 0)
    nodes.answer(project(nodes.given(), (left * inverted) @ right, model.mean_))


def _convert_product(nodes: Nodes, model: Any) -> None:
    nodes.answer(project(nodes.given(), model.components_.T))


def _convert_rbm(nodes: Nodes, model: Any) -> None:
    hidden = project(nodes.given(), model.components_.T, offset=model.intercept_hidden_)
    nodes.answer(hidden.map("Sigmoid"))


def _count_components(model: Any) -> int:
    return len(model.components_)


CONVERTERS: Final = tuple(
    Converter(f"sklearn.{name}", convert, _count_components)
    for name, convert in (
        ("decomposition.FastICA", _convert_ica),
        ("decomposition.FactorAnalysis", _convert_factors),
        ("decomposition.SparsePCA", _convert_sparse_pca),
        ("decomposition.MiniBatchSparsePCA", _convert_sparse_pca),
        ("random_projection.SparseRandomProjection", _convert_product),
        ("neural_network.BernoulliRBM", _convert_rbm),
    )
)
