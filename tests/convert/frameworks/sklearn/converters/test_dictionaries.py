from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.decomposition import DictionaryLearning, MiniBatchDictionaryLearning, SparseCoder
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from tests.convert.frameworks.sklearn.converters.conftest import Agree

from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.sklearn.converters import dictionaries

pytestmark = pytest.mark.framework

SETTINGS: list[dict[str, Any]] = [
    {},
    {"transform_n_nonzero_coefs": 5},
    {"transform_n_nonzero_coefs": 3, "split_sign": True},
    {"transform_algorithm": "threshold"},
    {"transform_algorithm": "threshold", "transform_alpha": 0.1, "split_sign": True},
    {"transform_algorithm": "threshold", "transform_alpha": 0.1, "positive_code": True},
]


def draw_atoms(count: int, columns: int) -> Any:
    atoms = np.random.default_rng(0).normal(size=(count, columns))
    return atoms / np.linalg.norm(atoms, axis=1)[:, None]


@pytest.mark.parametrize("load", [load_wine, load_digits])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_codes_of_a_given_dictionary(agree: Agree, settings: dict[str, Any], load: Any) -> None:
    rows = load().data[:200]

    conversions = agree(SparseCoder(draw_atoms(8, rows.shape[1]), **settings), rows)

    assert conversions[0].outputs[0].shape == (-1, 16 if "split_sign" in settings else 8)


@pytest.mark.parametrize("learner", [DictionaryLearning, MiniBatchDictionaryLearning])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_codes_of_a_learned_dictionary(agree: Agree, learner: Any, settings: dict[str, Any]) -> None:
    rows = load_breast_cancer().data[:200]

    agree(learner(5, max_iter=3, fit_algorithm="cd", random_state=0, **settings), rows)


def test_code_in_front_of_a_classifier(agree: Agree) -> None:
    rows, labels = load_digits(return_X_y=True)
    learner = MiniBatchDictionaryLearning(12, max_iter=3, random_state=0)

    agree(make_pipeline(learner, LogisticRegression()), rows[:160], labels[:160])


def test_rows_that_are_atoms_need_no_second_one(agree: Agree) -> None:
    atoms = np.eye(6)[:4]

    agree(SparseCoder(atoms, transform_n_nonzero_coefs=3), np.repeat(atoms, 4, axis=0) * 3)


def test_atoms_that_depend_on_each_other(agree: Agree) -> None:
    atoms = draw_atoms(3, 13)

    agree(SparseCoder(np.vstack([atoms, atoms[0]]), transform_n_nonzero_coefs=4), load_wine().data)


@pytest.mark.parametrize("algorithm", ["lasso_cd", "lasso_lars", "lars"])
def test_problems_that_are_solved_for_each_row_are_refused(agree: Agree, algorithm: str) -> None:
    model = SparseCoder(draw_atoms(4, 13), transform_algorithm=algorithm)

    with pytest.raises(Unsupported) as caught:
        agree(model, load_wine().data)

    assert caught.value.model == "SparseCoder"
    assert caught.value.problem.startswith(f"{algorithm} solves a problem for each row")


def test_a_pursuit_of_many_atoms_is_refused(agree: Agree) -> None:
    count = dictionaries.MAX_ATOMS + 1

    with pytest.raises(Unsupported, match=f"set transform_n_nonzero_coefs to {dictionaries.MAX_ATOMS} or fewer"):
        agree(SparseCoder(draw_atoms(count, 64), transform_n_nonzero_coefs=count), load_digits().data[:20])
