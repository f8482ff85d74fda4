"""
How each estimator of scikit-learn is fitted for docs/estimators.md: its settings, and data that suits it.

Settings are the defaults, except for arguments that have none, those that make fitting quicker, and those without
which an estimator does nothing, such as the function of a FunctionTransformer.

The recipes were written before the results were known, and do not follow them.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import numpy as np
from scripts.models.data_sets import DATA, Data
from scripts.models.entry import Array

Settings: TypeAlias = Mapping[str, Any] | Callable[[Any, Any], Mapping[str, Any]]


class Recipe(NamedTuple):
    """
    How an estimator is fitted: once on each data set, on the last of them behind `scaler`, and (`texts`) on the first
    with texts for labels.
    """

    settings: Settings
    data: tuple[str, ...]
    scaler: Literal["StandardScaler", "MinMaxScaler"] | None = "StandardScaler"
    texts: bool = False


class Case(NamedTuple):
    """A model to fit, and rows and targets for it: those at even places train it, those at odd places are compared."""

    name: str
    model: Any
    data: Data


def cases(name: str) -> Iterator[Case]:
    """Yield the cases of an estimator."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler, StandardScaler

    recipe = RECIPES[name]
    for one in recipe.data:
        yield Case(one, _make(name, recipe, DATA[one]()), DATA[one]())
    if recipe.scaler is not None:
        last = recipe.data[-1]
        rows, targets = DATA[last]()
        scaler = MinMaxScaler(clip=True) if recipe.scaler == "MinMaxScaler" else StandardScaler()
        scaled = Data(scaler.fit_transform(rows), targets)
        yield Case(
            f"{last}, behind a {recipe.scaler}", make_pipeline(scaler, _make(name, recipe, scaled)), DATA[last]()
        )
    if recipe.texts:
        rows, targets = DATA[recipe.data[0]]()
        named = Data(rows, np.array([f"class {one}" for one in targets], object))
        yield Case(f"{recipe.data[0]}, texts as labels", _make(name, recipe, named), named)


def _make(name: str, recipe: Recipe, data: Data) -> Any:
    from sklearn.base import clone

    settings = recipe.settings(*data) if callable(recipe.settings) else recipe.settings
    made = estimators()[name](**settings)
    return made if name == "FrozenEstimator" else clone(made)


@cache
def estimators() -> dict[str, Any]:
    """Return the classes of scikit-learn's estimators by name, the experimental ones too."""
    from sklearn.experimental import enable_halving_search_cv, enable_iterative_imputer  # noqa: F401 - enable them
    from sklearn.utils import all_estimators

    return dict(all_estimators())


def answers_new_rows(name: str) -> bool:
    """Return whether an estimator predicts or transforms rows that it was not fitted on."""
    return name == "FrozenEstimator" or any(hasattr(estimators()[name], method) for method in ("predict", "transform"))


def _neighbourhood(rows: Array, _: Any) -> dict[str, Any]:
    """Return a radius within which half of the rows are."""
    return {"radius": float(np.median(np.linalg.norm(rows[:, None] - rows[None], axis=2)))}


def _fitted(rows: Array, targets: Array) -> dict[str, Any]:
    from sklearn.linear_model import LogisticRegression

    return {"estimator": LogisticRegression(max_iter=1000).fit(rows[::2], targets[::2])}


def _dictionary(rows: Array, _: Any) -> dict[str, Any]:
    atoms = rows[:4] - rows.mean(0)
    return {"dictionary": atoms / np.linalg.norm(atoms, axis=1, keepdims=True)}


def _alike(names: str, **settings: Any) -> dict[str, Settings]:
    """Return the same settings for several estimators."""
    return dict.fromkeys(names.split(), settings)


def _recipes() -> Iterator[tuple[str, Recipe]]:
    for family in (
        _classifiers,
        _regressors,
        _transformers,
        _unsupervised,
        _selectors,
        _compositions,
        _encoders,
        _readers,
    ):
        yield from family()


def _classifiers() -> Iterator[tuple[str, Recipe]]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.tree import DecisionTreeClassifier

    usual = ("iris", "tumours", "awkward wine")
    logistic = LogisticRegression(max_iter=1000)
    pair = [("logistic", logistic), ("tree", DecisionTreeClassifier(max_depth=3, random_state=0))]
    few: dict[str, Any] = {"n_estimators": 20, "random_state": 0}
    settings: dict[str, Settings] = {
        **_alike(
            "BernoulliNB CalibratedClassifierCV DummyClassifier GaussianNB GaussianProcessClassifier "
            "KNeighborsClassifier LinearDiscriminantAnalysis NearestCentroid NuSVC RidgeClassifier "
            "RidgeClassifierCV SVC"
        ),
        **_alike(
            "DecisionTreeClassifier ExtraTreeClassifier LinearSVC PassiveAggressiveClassifier Perceptron SGDClassifier",
            random_state=0,
        ),
        **_alike(
            "AdaBoostClassifier BaggingClassifier ExtraTreesClassifier GradientBoostingClassifier "
            "RandomForestClassifier",
            **few,
        ),
        "HistGradientBoostingClassifier": {"max_iter": 20},
        "QuadraticDiscriminantAnalysis": {"reg_param": 0.1},
        "MLPClassifier": {"max_iter": 50, "random_state": 0},
        "LogisticRegression": {"max_iter": 1000},
        "LogisticRegressionCV": {"Cs": 3, "cv": 2},
        "RadiusNeighborsClassifier": lambda *data: _neighbourhood(*data) | {"outlier_label": "most_frequent"},
        **_alike("OneVsOneClassifier OneVsRestClassifier FixedThresholdClassifier", estimator=logistic),
        "FrozenEstimator": _fitted,
        "OutputCodeClassifier": {"estimator": logistic, "random_state": 0},
        "GridSearchCV": {"estimator": logistic, "param_grid": {"C": [0.1, 1]}, "cv": 2},
        "HalvingGridSearchCV": {"estimator": logistic, "param_grid": {"C": [0.1, 1]}, "cv": 2, "random_state": 0},
        "RandomizedSearchCV": {"estimator": logistic, "param_distributions": {"C": [0.1, 1]}, "n_iter": 2, "cv": 2},
        "HalvingRandomSearchCV": {
            "estimator": logistic,
            "param_distributions": {"C": [0.1, 1]},
            "cv": 2,
            "random_state": 0,
        },
        "StackingClassifier": {"estimators": pair, "cv": 2},
        "VotingClassifier": {"estimators": pair},
        "TunedThresholdClassifierCV": {"estimator": logistic, "cv": 2},
    }
    two = ("FixedThresholdClassifier", "TunedThresholdClassifierCV")
    for name, one in settings.items():
        yield name, Recipe(one, ("tumours", "awkward tumours") if name in two else usual, texts=name not in two)
    positive = ("counts", "awkward counts")
    yield "MultinomialNB", Recipe({}, positive, "MinMaxScaler", texts=True)
    yield "ComplementNB", Recipe({}, positive, "MinMaxScaler", texts=True)
    yield "CategoricalNB", Recipe({}, ("4 bins of wine", "7 bins of tumours"), None, texts=True)
    labels = ("three labels", "awkward three labels")
    yield "ClassifierChain", Recipe({"estimator": logistic}, labels)
    yield "MultiOutputClassifier", Recipe({"estimator": logistic}, labels)
    partly = ("partly labelled iris", "partly labelled awkward wine")
    yield "SelfTrainingClassifier", Recipe({"estimator": logistic}, partly)
    yield "LabelPropagation", Recipe({}, partly)
    yield "LabelSpreading", Recipe({}, partly)


def _regressors() -> Iterator[tuple[str, Recipe]]:
    from sklearn.linear_model import Ridge
    from sklearn.tree import DecisionTreeRegressor

    usual = ("patients", "awkward patients")
    pair = [("ridge", Ridge()), ("tree", DecisionTreeRegressor(max_depth=3, random_state=0))]
    few: dict[str, Any] = {"n_estimators": 20, "random_state": 0}
    settings: dict[str, Settings] = {
        **_alike(
            "ARDRegression BayesianRidge DummyRegressor ElasticNet ElasticNetCV GammaRegressor "
            "GaussianProcessRegressor HuberRegressor KNeighborsRegressor KernelRidge Lars LarsCV Lasso LassoCV "
            "LassoLars LassoLarsCV LassoLarsIC LinearRegression NuSVR OrthogonalMatchingPursuit "
            "OrthogonalMatchingPursuitCV PLSRegression PoissonRegressor QuantileRegressor Ridge RidgeCV SVR "
            "TweedieRegressor"
        ),
        **_alike(
            "DecisionTreeRegressor ExtraTreeRegressor LinearSVR PassiveAggressiveRegressor RANSACRegressor "
            "SGDRegressor TheilSenRegressor",
            random_state=0,
        ),
        **_alike(
            "AdaBoostRegressor BaggingRegressor ExtraTreesRegressor GradientBoostingRegressor RandomForestRegressor",
            **few,
        ),
        "HistGradientBoostingRegressor": {"max_iter": 20},
        "MLPRegressor": {"max_iter": 50, "random_state": 0},
        "RadiusNeighborsRegressor": _neighbourhood,
        "StackingRegressor": {"estimators": pair, "cv": 2},
        "TransformedTargetRegressor": {"regressor": Ridge(), "func": np.log1p, "inverse_func": np.expm1},
        "VotingRegressor": {"estimators": pair},
    }
    for name, one in settings.items():
        yield name, Recipe(one, usual)
    several = ("three values", "awkward three values")
    for name in ("MultiTaskElasticNet", "MultiTaskElasticNetCV", "MultiTaskLasso", "MultiTaskLassoCV"):
        yield name, Recipe({}, several)
    for name in ("CCA", "PLSCanonical", "PLSSVD"):
        yield name, Recipe({}, several)
    for name in ("MultiOutputRegressor", "RegressorChain"):
        yield name, Recipe({"estimator": Ridge()}, several)
    yield "IsotonicRegression", Recipe({}, ("one column", "one awkward column"))


def _transformers() -> Iterator[tuple[str, Recipe]]:
    usual = ("iris", "wine", "awkward wine")
    names = (
        "KBinsDiscretizer KernelPCA MaxAbsScaler MinMaxScaler Normalizer PCA PolynomialFeatures "
        "PowerTransformer RobustScaler SplineTransformer StandardScaler"
    )
    settings: dict[str, Settings] = {
        **_alike(names),
        "Binarizer": {"threshold": 2.5},
        "DictionaryLearning": {"n_components": 4, "max_iter": 20, "random_state": 0},
        "FactorAnalysis": {"n_components": 2},
        "FastICA": {"n_components": 2, "random_state": 0},
        "FeatureAgglomeration": {"n_clusters": 3},
        "FunctionTransformer": {"func": np.log1p},
        "GaussianRandomProjection": {"n_components": 3, "random_state": 0},
        "IncrementalPCA": {"n_components": 3},
        "Isomap": {},
        "LocallyLinearEmbedding": {"random_state": 0},
        "MiniBatchDictionaryLearning": {"n_components": 4, "max_iter": 20, "random_state": 0},
        "MiniBatchSparsePCA": {"n_components": 2, "max_iter": 20, "random_state": 0},
        "NeighborhoodComponentsAnalysis": {"n_components": 2, "max_iter": 20, "random_state": 0},
        "Nystroem": {"n_components": 50, "random_state": 0},
        "PolynomialCountSketch": {"n_components": 50, "random_state": 0},
        "QuantileTransformer": {"n_quantiles": 50},
        "RBFSampler": {"n_components": 50, "random_state": 0},
        "RandomTreesEmbedding": {"n_estimators": 20, "random_state": 0},
        "SparseCoder": _dictionary,
        "SparsePCA": {"n_components": 2, "max_iter": 20, "random_state": 0},
        "SparseRandomProjection": {"n_components": 3, "random_state": 0},
        "TruncatedSVD": {"n_components": 2, "random_state": 0},
        "KNeighborsTransformer": {},
        "RadiusNeighborsTransformer": _neighbourhood,
    }
    for name, one in settings.items():
        yield name, Recipe(one, usual)
    positive = ("wine", "awkward wine")
    yield "AdditiveChi2Sampler", Recipe({}, positive, "MinMaxScaler")
    yield "SkewedChi2Sampler", Recipe({"n_components": 50, "random_state": 0}, positive, "MinMaxScaler")
    yield "BernoulliRBM", Recipe({"n_components": 8, "n_iter": 3, "random_state": 0}, ("shares", "awkward wine"))
    factors = {"n_components": 3, "random_state": 0}
    yield "NMF", Recipe(factors | {"max_iter": 500}, positive, "MinMaxScaler")
    yield "MiniBatchNMF", Recipe(factors, positive, "MinMaxScaler")
    yield "LatentDirichletAllocation", Recipe(factors, ("counts", "awkward counts"), "MinMaxScaler")
    yield "KernelCenterer", Recipe({}, ("similarities", "awkward similarities"), None)
    missing = ("wine with missing values", "awkward iris with missing values")
    for name in ("IterativeImputer", "KNNImputer", "MissingIndicator", "SimpleImputer"):
        yield name, Recipe({}, missing)


def _unsupervised() -> Iterator[tuple[str, Recipe]]:
    usual = ("iris", "wine", "awkward wine")
    settings: dict[str, Settings] = {
        "AffinityPropagation": {"random_state": 0},
        "BayesianGaussianMixture": {"n_components": 3, "random_state": 0},
        "Birch": {},
        "BisectingKMeans": {"n_clusters": 4, "random_state": 0},
        "EllipticEnvelope": {"random_state": 0},
        "GaussianMixture": {"n_components": 3, "random_state": 0},
        "IsolationForest": {"n_estimators": 20, "random_state": 0},
        "KMeans": {"n_clusters": 4, "random_state": 0},
        "LocalOutlierFactor": {"novelty": True},
        "MeanShift": {},
        "MiniBatchKMeans": {"n_clusters": 4, "random_state": 0},
        "OneClassSVM": {},
        "SGDOneClassSVM": {"random_state": 0},
    }
    for name, one in settings.items():
        yield name, Recipe(one, usual)


def _selectors() -> Iterator[tuple[str, Recipe]]:
    from sklearn.linear_model import LogisticRegression

    usual = ("iris", "tumours", "awkward wine")
    logistic = LogisticRegression(max_iter=1000)
    settings: dict[str, Settings] = {
        **_alike("SelectFdr SelectFpr SelectFwe SelectPercentile VarianceThreshold"),
        "SelectKBest": {"k": 3},
        "GenericUnivariateSelect": {"mode": "k_best", "param": 3},
        "SelectFromModel": {"estimator": logistic},
        "RFE": {"estimator": logistic},
    }
    for name, one in settings.items():
        yield name, Recipe(one, usual)
    small = ("iris", "awkward iris")
    yield "RFECV", Recipe({"estimator": logistic, "cv": 2}, small)
    yield "SequentialFeatureSelector", Recipe({"estimator": logistic, "n_features_to_select": 2, "cv": 2}, small)


def _compositions() -> Iterator[tuple[str, Recipe]]:
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import MinMaxScaler, StandardScaler

    usual = ("iris", "tumours", "awkward wine")
    two = [("scale", StandardScaler()), ("project", PCA(2))]
    parts = [("scale", StandardScaler(), [0, 1]), ("range", MinMaxScaler(), [2, 3])]
    steps = [("scale", StandardScaler()), ("classify", LogisticRegression(max_iter=1000))]
    yield "ColumnTransformer", Recipe({"transformers": parts}, usual)
    yield "FeatureUnion", Recipe({"transformer_list": two}, usual)
    yield "Pipeline", Recipe({"steps": steps}, usual, texts=True)


def _encoders() -> Iterator[tuple[str, Recipe]]:
    categories = ("words", "fractions")
    yield "OneHotEncoder", Recipe({"handle_unknown": "ignore"}, categories, None)
    yield "OrdinalEncoder", Recipe({}, categories, None)
    yield "TargetEncoder", Recipe({"random_state": 0}, ("words", "words of three classes", "fractions"), None)
    for name in ("LabelBinarizer", "LabelEncoder"):
        yield name, Recipe({}, ("class numbers", "class names"), None)
    yield "MultiLabelBinarizer", Recipe({}, ("sets",), None)


def _readers() -> Iterator[tuple[str, Recipe]]:
    for name in ("CountVectorizer", "HashingVectorizer", "TfidfVectorizer"):
        yield name, Recipe({}, ("texts", "short texts"), None)
    yield "TfidfTransformer", Recipe({}, ("counts", "awkward counts"), "MinMaxScaler")
    yield "DictVectorizer", Recipe({}, ("dicts",), None)
    yield "FeatureHasher", Recipe({}, ("dicts",), None)
    yield "PatchExtractor", Recipe({"patch_size": (3, 3)}, ("pictures",), None)


RECIPES: Final[dict[str, Recipe]] = dict(_recipes())
