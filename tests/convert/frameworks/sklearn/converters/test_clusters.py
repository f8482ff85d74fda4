from typing import Any

import numpy as np
import pytest
from sklearn.cluster import (
    AffinityPropagation,
    AgglomerativeClustering,
    Birch,
    BisectingKMeans,
    FeatureAgglomeration,
    KMeans,
    MeanShift,
    MiniBatchKMeans,
)
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes, load_digits, load_iris, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler
from tests.convert.frameworks.sklearn.conftest import Convert
from tests.convert.frameworks.sklearn.converters.conftest import Agree

from snooze.convert.errors import Unsupported
from snooze.convert.quiet import quiet

pytestmark = pytest.mark.framework


@pytest.mark.parametrize("load", [load_iris, load_wine, load_diabetes])
@pytest.mark.parametrize(
    "model",
    [
        KMeans(4, n_init=1, random_state=0),
        MiniBatchKMeans(4, n_init=1, random_state=0),
        BisectingKMeans(7, random_state=0),
        BisectingKMeans(1, random_state=0),
        Birch(n_clusters=2),
        Birch(n_clusters=None),
        MeanShift(bin_seeding=True),
        AffinityPropagation(random_state=0),
    ],
    ids=str,
)
def test_clusters(agree: Agree, load: Any, model: Any) -> None:
    rows = load().data[:120]
    if isinstance(model, Birch):
        model.set_params(threshold=rows.std() / 10)
    agree(model, rows)


def test_clusters_of_subclusters(convert: Convert) -> None:
    rows = load_iris().data
    model = Birch(threshold=0.2, n_clusters=AgglomerativeClustering(4)).fit(rows[::2])
    original, conversion = convert(model, rows[1::2].astype(np.float32))
    (answer,) = original.answer_all(conversion.expected.data.cases)
    assert len(model.subcluster_centers_) > len(np.unique(answer.tensors["label"])) == 4


def test_affinity_propagation_that_did_not_converge(convert: Convert) -> None:
    rows = load_iris().data
    with quiet():
        model = AffinityPropagation(max_iter=1, random_state=0).fit(rows[::2])
    original, conversion = convert(model, rows[1::2].astype(np.float32))
    (answer,) = original.answer_all(conversion.expected.data.cases)
    assert len(model.cluster_centers_) == 0
    assert set(answer.tensors["label"].tolist()) == {-1}


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_rows_in_another_precision_than_in_training(convert: Convert, kind: type) -> None:
    """KMeans itself refuses them."""
    rows = load_digits().data[:200]
    _, conversion = convert(KMeans(5, n_init=1, random_state=0).fit(rows[::2].astype(kind)), rows[1::2])
    assert conversion.parity.data.outliers == 0


@pytest.mark.parametrize("pool", [np.mean, np.max, np.min, np.median, np.sum], ids=lambda pool: pool.__name__)
def test_pooled_features(agree: Agree, pool: Any) -> None:
    agree(FeatureAgglomeration(4, pooling_func=pool), load_wine().data)


def test_other_ways_to_pool_are_refused(agree: Agree) -> None:
    with pytest.raises(Unsupported) as caught:
        agree(FeatureAgglomeration(4, pooling_func=np.std), load_wine().data)
    assert "pooling_func=std" in caught.value.problem


@pytest.mark.parametrize(
    "cluster",
    [
        KMeans(4, n_init=1, random_state=0),
        BisectingKMeans(3, random_state=0),
        Birch(threshold=0.5),
        FeatureAgglomeration(3),
    ],
    ids=lambda model: type(model).__name__,
)
def test_a_model_is_given_the_distances(agree: Agree, cluster: Any) -> None:
    rows, labels = load_wine(return_X_y=True)
    agree(make_pipeline(StandardScaler(), cluster, LogisticRegression()), rows, labels)
    scaled = make_pipeline(StandardScaler(), cluster)
    agree(make_pipeline(make_union(StandardScaler(), scaled), LogisticRegression()), rows, labels)
    columns = make_column_transformer((StandardScaler(), [0, 1]), (scaled, list(range(2, 13))))
    agree(make_pipeline(columns, LogisticRegression()), rows, labels)


def test_labels_behind_a_step_that_clusters(convert: Convert) -> None:
    rows = load_wine().data
    model = make_pipeline(StandardScaler(), FeatureAgglomeration(3), KMeans(3, n_init=1, random_state=0)).fit(rows[::2])
    _, conversion = convert(model, rows[1::2].astype(np.float32))
    assert [(one.name, one.shape) for one in conversion.outputs] == [("label", (-1,)), ("distances", (-1, 3))]
