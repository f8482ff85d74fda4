"""
Non-negative matrix factorization: the weights of kept components that make up each row.

Formulas: `sklearn.decomposition._nmf`; A. Cichocki and A. Phan, "Fast local algorithms for large scale nonnegative
matrix and tensor factorizations" (2009), for coordinate descent, and C. Févotte and J. Idier, "Algorithms for
nonnegative matrix factorization with the beta-divergence" (2011), for multiplicative updates.

scikit-learn stops when all rows together hardly change, long before they have converged, so the answer for a row
depends on the rows beside it: by up to a quarter of the range of the answers. A graph stops by the same rule, and gives
for rows what scikit-learn gives for the same rows at once.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from snooze.convert.checks.cases import Array
from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.sklearn.converters.loops import repeat
from snooze.convert.frameworks.sklearn.converters.nodes import Converter, Nodes, Value

EPSILON: Final = float(np.finfo(np.float32).eps)  # scikit-learn's, whatever the precision
LOSSES: Final = {"frobenius": 2.0, "kullback-leibler": 1.0, "itakura-saito": 0.0}
SMALLEST: Final = float(np.finfo(np.float64).eps)  # a lower weight is 0
EVERY: Final = 10  # updates, after which scikit-learn looks whether to go on
State = tuple[Value, Sequence[Value]]


def _convert_nmf(nodes: Nodes, model: Any) -> None:
    rows = nodes.given()
    weights = _descend(rows, model) if model.solver == "cd" else _multiply(rows, model)
    nodes.answer(weights)


def _descend(rows: Value, model: Any) -> Value:
    """Return weights by coordinate descent from 0: one component after the other is set to its best weight."""
    nodes, components = rows.nodes, model.components_
    l1, l2 = _penalties(model)
    products = components @ components.T + l2 * np.eye(len(components))
    squares = np.diag(products)
    divisors = np.where(squares == 0, np.inf, squares)[None]
    orders, count = _draw_orders(model), len(components)

    def update(number: Value, weights: Value, before: Value, targets: Value) -> State:
        if orders is None:
            after, violation = _sweep(weights, targets, products, divisors, count)
        else:
            order, inverse = (nodes.value(one).take(number, axis=0) for one in (orders, np.argsort(orders, axis=1)))
            ordered = nodes.value(products).take(order, axis=0).take(order)
            given = weights.take(order), targets.take(order)
            after, violation = _sweep(*given, ordered, nodes.value(divisors).take(order), count)
            after = after.take(inverse)
        before = nodes.where(number.equals(0), violation, before)
        return violation > before * model.tol, [after, before]

    targets = rows @ components.T - l1
    start = targets * 0.0
    return repeat(nodes, update, model.max_iter, [start, _total(start)], [targets])[0]


def _draw_orders(model: Any) -> Array | None:
    """Return the order of the components in each iteration, None if it is always the same."""
    if not model.shuffle:
        return None
    if not isinstance(model.random_state, int | np.integer):
        problem = "each call takes the components in another random order (shuffle=True without a random_state)"
        raise Unsupported("NMF", f"{problem}; set shuffle=False, or random_state to a number, also of a trained one")
    random = np.random.RandomState(model.random_state)
    return np.array([random.permutation(len(model.components_)) for _ in range(model.max_iter)])


def _sweep(
    weights: Value, targets: Value, products: Value | Array, divisors: Value | Array, count: int
) -> tuple[Value, Value]:
    """Return the weights after all components were updated in turn, and how much the optimum was missed before."""
    nodes = weights.nodes
    columns = [weights.take([at]) for at in range(count)]
    gradients = []
    for at, column in enumerate(columns):
        gradient = nodes.join(columns) @ _column(products, at) - targets.take([at])
        columns[at] = (column - gradient / _column(divisors, at)).map("Max", 0.0)
        gradients.append(gradient)
    joined = nodes.join(gradients)
    missed = nodes.where(weights.equals(0.0), joined.map("Min", 0.0), joined)
    return nodes.join(columns), _total(missed.map("Abs"))


def _column(matrix: Value | Array, at: int) -> Value | Array:
    return matrix.take([at]) if isinstance(matrix, Value) else matrix[:, at : at + 1]


def _multiply(rows: Value, model: Any) -> Value:
    """Return weights by multiplicative updates, after every tenth of which the divergence decides whether to go on."""
    nodes, loss = rows.nodes, _loss(model)

    def update(rows: Value, targets: Value, weights: Value, number: Value | float) -> Value:
        # scikit-learn adds the penalty to sums that it keeps (`denominator += l1_reg_W`), so it grows with this loss.
        weights = _update(rows, targets, weights, model, loss, number if loss == 1 else 1.0)
        return nodes.where(weights < SMALLEST, 0.0, weights) if loss < 1 else weights

    def update_often(
        number: Value, weights: Value, first: Value, last: Value, _: Value, rows: Value, targets: Value
    ) -> State:
        updates = number.cast(nodes.dtype) * float(EVERY)
        for at in range(EVERY):
            weights = update(rows, targets, weights, updates + float(at + 1))
        if model.tol <= 0:
            return _always(nodes), [weights, first, last, _always(nodes)]
        error = _diverge(rows, weights, model.components_, loss)
        proceed = ~((last - error) / first < model.tol)  # also of 0 / 0
        return proceed, [weights, first, error, proceed.map("Identity")]

    start, targets = _start(rows, model), rows @ model.components_.T
    error = _diverge(rows, start, model.components_, loss)
    steps, rest = divmod(model.max_iter, EVERY)
    state = [start, error, error, _always(nodes)]
    weights, _, _, going = repeat(nodes, update_often, steps, state, [rows, targets])
    updated = weights
    for at in range(rest):
        updated = update(rows, targets, updated, float(steps * EVERY + at + 1))
    return nodes.where(going, updated, weights) if rest else weights


def _convert_minibatch_nmf(nodes: Nodes, model: Any) -> None:
    """Multiplicative updates stop when the weights hardly change."""
    loss = _loss(model)

    def update(_: Value, weights: Value, rows: Value, targets: Value) -> State:
        after = _update(rows, targets, weights, model, loss)
        change = _norm(after - weights) / _norm(after)
        return ~(change <= model.tol) if model.tol > 0 else _always(nodes), [after]

    rows = nodes.given()
    targets = rows @ model.components_.T
    most = model.max_iter if model.transform_max_iter is None else model.transform_max_iter
    nodes.answer(repeat(nodes, update, most, [_start(rows, model)], [rows, targets])[0])


def _update(
    rows: Value, targets: Value, weights: Value, model: Any, loss: float, penalties: Value | float = 1.0
) -> Value:
    """
    Return the weights after a multiplicative update, to which the L1 penalty is added a number of times.

    `targets` are the products of the rows and the components.
    """
    components: Array = model.components_
    l1, l2 = _penalties(model)
    if loss == 2:
        numerator, denominator = targets, weights @ (components @ components.T)
    else:
        found = weights @ components
        safe = found.map("Max", EPSILON) if loss < 2 else found
        powers = _power(safe, loss - 2)
        numerator = (rows * powers) @ components.T
        lifted = found.map("Max", EPSILON) if loss < 1 else found
        denominator = (
            rows.nodes.value(components.sum(1)[None]) if loss == 1 else _power(lifted, loss - 1) @ components.T
        )
    denominator = denominator + penalties * l1 if l1 > 0 else denominator
    denominator = denominator + l2 * weights if l2 > 0 else denominator
    factors = numerator / rows.nodes.where(denominator.equals(0.0), EPSILON, denominator)
    gamma = 1 / (2 - loss) if loss < 1 else 1 / (loss - 1) if loss > 2 else 1.0
    return weights * (factors if gamma == 1 else factors**gamma)


def _diverge(rows: Value, weights: Value, components: Array, loss: float) -> Value:
    """Return the root of twice the beta-divergence of the rows from what the weights make of them, a scalar."""
    found = weights @ components
    if loss == 2:
        return _norm(rows - found)
    counted = rows > EPSILON
    given = rows.nodes.where(counted, rows, 1.0)
    safe = rows.nodes.where(counted, found.map("Max", EPSILON), 1.0)
    if loss == 1:
        terms = given * (given / safe).map("Log")
        rest = rows.nodes.where(counted, rows, 0.0)
        divergence = _total(terms) + _total(found) - _total(rest)
    elif loss == 0:
        ratio = given / safe
        divergence = _total(rows.nodes.where(counted, ratio - ratio.map("Log"), 0.0) - 1.0)
    else:
        powers = given**loss - (given * safe ** (loss - 1)) * loss
        left = rows.nodes.where(counted, powers, 0.0)
        divergence = (_total(left) + _total(found**loss) * (loss - 1)) / (loss * (loss - 1))
    return (divergence.map("Max", 0.0) * 2.0).map("Sqrt")


def _start(rows: Value, model: Any) -> Value:
    """Return the same weight for each row and component, by the mean of all rows."""
    mean = (rows.map("ReduceMean", keepdims=0) / float(len(model.components_))).map("Sqrt")
    return rows.take([0]) * 0.0 + mean + np.zeros((1, len(model.components_)))


def _always(nodes: Nodes) -> Value:
    return nodes.value(np.array(True)).map("Identity")


def _loss(model: Any) -> float:
    return float(LOSSES.get(model.beta_loss, model.beta_loss))


def _penalties(model: Any) -> tuple[float, float]:
    """Return the weights of the absolute and of the squared weights in what is minimized."""
    scale = model.components_.shape[1] * model.alpha_W
    return scale * model.l1_ratio, scale * (1 - model.l1_ratio)


def _power(values: Value, exponent: float) -> Value:
    if exponent == -1:
        return 1.0 / values
    return values if exponent == 1 else values**exponent


def _norm(values: Value) -> Value:
    return _total(values * values).map("Sqrt")


def _total(values: Value) -> Value:
    """Return the sum of all numbers, a scalar."""
    return values.map("ReduceSum", keepdims=0)


CONVERTERS: Final = (
    Converter("sklearn.decomposition.NMF", _convert_nmf, lambda model: len(model.components_)),
    Converter("sklearn.decomposition.MiniBatchNMF", _convert_minibatch_nmf, lambda model: len(model.components_)),
)
