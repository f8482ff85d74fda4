"""
Random and sampled features whose products approximate a kernel.

Formulas: scikit-learn's user guide, "Kernel Approximation", and the papers that it names: Rahimi and Recht (2007) for
`RBFSampler`, Li, Ionescu and Sminchisescu (2010) for `SkewedChi2Sampler`, Vedaldi and Zisserman (2010) for
`AdditiveChi2Sampler`, Pham and Pagh (2013) for `PolynomialCountSketch`.
"""

from typing import Any, Final

import numpy as np

from snooze.convert.frameworks.sklearn.converters.nodes import Converter, Nodes, Value

INTERVALS: Final = {1: 0.8, 2: 0.5, 3: 0.4}  # of AdditiveChi2Sampler by sample_steps, figure 2c of the paper


def _convert_rbf_sampler(nodes: Nodes, model: Any) -> None:
    nodes.answer(_project(nodes.given(), model))


def _convert_skewed_chi2_sampler(nodes: Nodes, model: Any) -> None:
    nodes.answer(_project((nodes.given() + model.skewedness).map("Log"), model))


def _project(rows: Value, model: Any) -> Value:
    phases: Value = rows @ model.random_weights_ + model.random_offset_
    return phases.map("Cos") * float(np.sqrt(2 / model.n_components))


def _convert_additive_chi2_sampler(nodes: Nodes, model: Any) -> None:
    interval, rows = model.sample_interval or INTERVALS[model.sample_steps], nodes.given()
    logarithms = nodes.where(rows.equals(0.0), 1.0, rows).map("Log") * interval
    roots = (rows * interval).map("Sqrt")
    found = [roots]
    for step in range(1, model.sample_steps):
        factors = roots * np.sqrt(2 / np.cosh(np.pi * step * interval))
        phases = logarithms * float(step)
        found += [factors * phases.map("Cos"), factors * phases.map("Sin")]
    nodes.answer(nodes.join(found) if len(found) > 1 else roots)


def _convert_polynomial_count_sketch(nodes: Nodes, model: Any) -> None:
    """
    Convert the circular convolution of count sketches.

    The sketch of a row is a product with a sparse matrix of signs, and so are the real and the imaginary part of its
    Fourier transform. The transforms are multiplied; their inverse is another product with constant matrices.
    """
    size, (degree, columns) = model.n_components, model.indexHash_.shape
    rows, product = nodes.given(), None
    for at in range(degree):
        sketch = np.zeros((columns, size))
        sketch[np.arange(columns), model.indexHash_[at]] = model.bitHash_[at]
        transform = np.fft.rfft(sketch)
        transform[: model.n_features_in_] *= np.sqrt(model.gamma)
        transform[model.n_features_in_ :] *= np.sqrt(model.coef0)  # of a column of ones, if there is one
        weights, ones = transform[: model.n_features_in_], transform[model.n_features_in_ :].sum(0)
        real, imaginary = rows @ weights.real + ones.real, rows @ weights.imag + ones.imag
        if product is not None:
            real, imaginary = (
                real * product[0] - imaginary * product[1],
                real * product[1] + imaginary * product[0],
            )
        product = real, imaginary
    assert product is not None
    frequencies = np.eye(size // 2 + 1)
    inverse = np.fft.irfft(frequencies, size), np.fft.irfft(1j * frequencies, size)
    nodes.answer(product[0] @ inverse[0] + product[1] @ inverse[1])


CONVERTERS: Final = (
    Converter("sklearn.kernel_approximation.RBFSampler", _convert_rbf_sampler, lambda model: model.n_components),
    Converter(
        "sklearn.kernel_approximation.SkewedChi2Sampler",
        _convert_skewed_chi2_sampler,
        lambda model: model.n_components,
    ),
    Converter(
        "sklearn.kernel_approximation.AdditiveChi2Sampler",
        _convert_additive_chi2_sampler,
        lambda model: model.n_features_in_ * (2 * model.sample_steps - 1),
    ),
    Converter(
        "sklearn.kernel_approximation.PolynomialCountSketch",
        _convert_polynomial_count_sketch,
        lambda model: model.n_components,
    ),
)
