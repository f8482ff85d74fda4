"""
Weighted sums of kernels between a row and the rows that an estimator keeps.

Formulas: scikit-learn's user guide, "Kernel ridge regression", "Kernel Principal Component Analysis" and "Nystroem
Method for Kernel Approximation". Centering a kernel is linear, so the weights of `KernelPCA` do it as well.
"""

from typing import Any, Final

import numpy as np

from snooze.convert.frameworks.sklearn.converters.kernels import check_kernel, settings, weigh
from snooze.convert.frameworks.sklearn.converters.nodes import Converter, Nodes


def _convert_kernel_ridge(nodes: Nodes, model: Any) -> None:
    weights = model.dual_coef_.reshape(len(model.dual_coef_), -1)
    nodes.answer(weigh(nodes.given(), model.X_fit_, weights, 0.0, settings(model)))


def _convert_kernel_pca(nodes: Nodes, model: Any) -> None:
    with np.errstate(divide="ignore", invalid="ignore"):
        scales = np.where(model.eigenvalues_ == 0, 0, 1 / np.sqrt(model.eigenvalues_))
    weights = model.eigenvectors_ * scales
    weights -= weights.mean(0)  # subtracts the mean of a row of the kernel
    offset = -(model._centerer.K_fit_rows_ - model._centerer.K_fit_all_) @ weights
    nodes.answer(weigh(nodes.given(), model.X_fit_, weights, offset, settings(model)))


def _convert_kernel_centerer(nodes: Nodes, model: Any) -> None:
    values = nodes.given()
    means = values.sum() / len(model.K_fit_rows_)
    nodes.answer(values - (model.K_fit_rows_ - model.K_fit_all_) - means)


def _convert_nystroem(nodes: Nodes, model: Any) -> None:
    check_kernel(model)
    parameters = {"gamma": None, **model._get_kernel_params()}
    kernel = {"name": model.kernel, **parameters}
    nodes.answer(weigh(nodes.given(), model.components_, model.normalization_.T, 0.0, kernel))


def _width_of_values(model: Any) -> int:
    return 1 if model.dual_coef_.ndim == 1 else int(model.dual_coef_.shape[1])


CONVERTERS: Final = (
    Converter("sklearn.kernel_ridge.KernelRidge", _convert_kernel_ridge, _width_of_values),
    Converter("sklearn.decomposition.KernelPCA", _convert_kernel_pca, lambda model: len(model.eigenvalues_)),
    Converter("sklearn.preprocessing.KernelCenterer", _convert_kernel_centerer, lambda model: model.n_features_in_),
    Converter("sklearn.kernel_approximation.Nystroem", _convert_nystroem, lambda model: len(model.normalization_)),
)
