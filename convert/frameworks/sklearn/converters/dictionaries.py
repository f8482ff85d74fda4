"""
Sparse codes of rows in a dictionary of atoms.

Formulas: scikit-learn's user guide, "Sparse coding with a precomputed dictionary" and "Orthogonal Matching Pursuit".
The conditions to stop are those of `sklearn.linear_model._omp._gram_omp`, which extends a Cholesky decomposition; here
each atom is made orthogonal to those before it, which gives the same codes.
"""

from typing import Any, Final

import numpy as np

from snooze.convert.checks.cases import Array
from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.sklearn.converters.nodes import Converter, Nodes, Value

MAX_ATOMS: Final = 64  # of a code by pursuit: each is a stage of 20 operators


def _convert_coder(nodes: Nodes, model: Any) -> None:
    atoms = _atoms(model)
    algorithm = model.transform_algorithm
    if algorithm == "threshold":
        code = _shrink(nodes.given() @ atoms.T, model)
    elif algorithm == "omp":
        code = _pursue(nodes.given() @ atoms.T, atoms @ atoms.T, _count_atoms(model, atoms))
    else:
        problem = f"{algorithm} solves a problem for each row, in as many steps as the row needs"
        raise Unsupported(type(model).__name__, f"{problem}; set transform_algorithm to 'omp' or 'threshold'")
    nodes.answer(nodes.join([code.map("Relu"), (-code).map("Relu")]) if model.split_sign else code)


def _atoms(model: Any) -> Array:
    return np.asarray(model.components_ if hasattr(model, "components_") else model.dictionary, np.float64)


def _count_atoms(model: Any, atoms: Array) -> int:
    """Return how many atoms a code has. Raises Unsupported if they are too many."""
    count = model.transform_n_nonzero_coefs
    count = int(min(max(atoms.shape[1] / 10, 1), len(atoms)) if count is None else count)
    if count > MAX_ATOMS:
        problem = f"the pursuit of {count} atoms for each row is a graph of {20 * count} operators in sequence"
        advice = f"set transform_n_nonzero_coefs to {MAX_ATOMS} or fewer"
        raise Unsupported(type(model).__name__, f"{problem}; {advice}, or transform_algorithm to 'threshold'")
    return count


def _shrink(products: Value, model: Any) -> Value:
    alpha = model.transform_alpha
    if alpha is None:
        alpha = getattr(model, "alpha", 1.0)
    above = (products - float(alpha)).map("Relu")
    return above if model.positive_code else above - (-products - float(alpha)).map("Relu")


def _pursue(products: Value, gram: Array, count: int) -> Value:
    """
    Return codes [rows, atoms] of `count` atoms each, from the products of rows with atoms, and of atoms with atoms.

    A direction is the part of an atom that is orthogonal to the directions before it, as a sum of atoms.
    """
    nodes, least = products.nodes, float(np.finfo(products.dtype).eps)
    atoms, grams, going = nodes.value(np.eye(len(gram))), nodes.value(gram), nodes.value(np.array([[True]]))
    rest, code, chosen = products, products * 0.0, products * 0.0
    directions = overlaps = _as_stack(code)  # and their products with atoms [rows, directions, atoms]
    for _ in range(count):
        best = rest.map("Abs").argmax()
        atom = atoms.take(best, axis=0)
        product = (rest * atom).sum()
        shared = _as_stack(atom) @ overlaps.transpose(0, 2, 1)
        direction = atom - _unstack(shared @ directions)
        overlap = grams.take(best, axis=0) - _unstack(shared @ overlaps)
        left = (overlap * atom).sum()
        again = (chosen * atom).sum() > 0.0
        going = going & ~again & (product * product >= least) & (left > least)
        length = nodes.where(going, left, 1.0).map("Sqrt")
        direction, overlap = direction / length, overlap / length
        gain = nodes.where(going, product / length, 0.0)
        rest, code, chosen = rest - gain * overlap, code + gain * direction, chosen + atom
        directions, overlaps = (
            nodes.join([directions, _as_stack(direction)]),
            nodes.join([overlaps, _as_stack(overlap)]),
        )
    return code


def _as_stack(values: Value) -> Value:
    """Return values of rows [rows, 1, columns]."""
    return values.add_axes(1)


def _unstack(values: Value) -> Value:
    return values.map("Squeeze", values.nodes.value(np.array([1])))


def _count_columns(model: Any) -> int:
    return len(_atoms(model)) * (2 if model.split_sign else 1)


CONVERTERS: Final = tuple(
    Converter(f"sklearn.decomposition.{name}", _convert_coder, _count_columns)
    for name in ("SparseCoder", "DictionaryLearning", "MiniBatchDictionaryLearning")
)
