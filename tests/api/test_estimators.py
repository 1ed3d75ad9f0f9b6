"""PlaitClassifier and PlaitRegressor among scikit-learn's tools, on rows with text, pictures and numbers."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fixtures.lazy import lazy
from plait.data.table import read_table

plait, pd, sklearn = lazy("plait"), lazy("pandas"), lazy("sklearn")

SMALL = {
    "encoders.text": "scratch:text", "encoders.image": "scratch:image", "encoders.image_size": 16,
    "encoders.max_length": 8, "train.threads": 1, "train.baselines": False,
}  # fmt: skip


def posts(count: int = 36) -> tuple[Any, np.ndarray]:
    """A frame whose label is told by text, picture and number alike; its index is not 0, 1, 2."""
    rng, rows = np.random.default_rng(0), []
    for number in range(count):
        dry = number % 2
        pixels = rng.integers(0, 60, (16, 16, 3), dtype=np.uint8)
        pixels[..., 0] += 180 * dry
        word = "blue" if dry else "grey"
        rows.append({"text": f"the sky is {word}", "photo": Image.fromarray(pixels), "size": dry + rng.normal(0, 0.2)})
    labels = np.array(["wet", "dry"])[np.arange(count) % 2]
    return pd.DataFrame(rows, index=[f"row {n}" for n in range(count)]), labels


def classifier(**more: Any) -> Any:
    return plait.PlaitClassifier(**{"preset": "single", "epochs": 4, "settings": SMALL, **more})


def test_rows_of_every_kind_are_learned(tmp_path: Path) -> None:
    X, y = posts()
    fitted = classifier().fit(X, y)
    assert [(m.name, m.kind) for m in fitted.model_.modalities] == [
        ("text", "text"), ("photo", "image"), ("tabular", "tabular"),
    ]  # fmt: skip
    assert fitted.classes_.tolist() == ["dry", "wet"] and fitted.n_features_in_ == 3
    assert fitted.feature_names_in_.tolist() == ["text", "photo", "size"]
    proba = fitted.predict_proba(X)
    assert proba.shape == (36, 2) and np.allclose(proba.sum(1), 1)
    assert (fitted.predict(X) == fitted.classes_[proba.argmax(1)]).all() and fitted.score(X, y) > 0.9
    opened = plait.load(fitted.save(tmp_path / "m"))
    assert np.array_equal(opened.predict_proba(X), proba)
    own = fitted.model_.predict_proba(X)
    assert fitted.model_.labels.classes == ("dry", "wet") or list(fitted.model_.labels.classes) == ["dry", "wet"]
    assert np.array_equal(own, proba)


def test_cross_validation_grid_search_and_pipelines() -> None:
    from sklearn.model_selection import GridSearchCV, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    X, y = posts()
    scores = cross_val_score(classifier(), X, y, cv=3)
    assert scores.shape == (3,) and scores.mean() > 0.9
    search = GridSearchCV(classifier(), {"fusion": ["gated", "concat"], "epochs": [1, 4]}, cv=2).fit(X, y)
    assert set(search.best_params_) == {"fusion", "epochs"} and len(search.cv_results_["params"]) == 4
    assert search.best_estimator_.model_.settings.fusion.name == search.best_params_["fusion"]
    chain = make_pipeline(FunctionTransformer(lambda frame: frame.drop(columns="photo")), classifier())
    assert chain.fit(X, y).score(X, y) > 0.9
    assert [m.name for m in chain[-1].model_.modalities] == ["text", "tabular"]


@pytest.mark.parametrize("name", ["PlaitClassifier", "PlaitRegressor"])
def test_saving_before_fit_says_what_to_type(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"holds no model yet; type {name}\(\.\.\.\)\.fit\(X, y\)\.save\("):
        getattr(plait, name)().save(tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_parameters_and_clones() -> None:
    from sklearn.base import clone

    made = classifier(random_state=3)
    made.set_params(fusion="concat", numeric=["size"])
    other = clone(made)
    assert other.get_params() == made.get_params() and other is not made
    assert other.get_params()["settings"] == SMALL and "fusion='concat'" in repr(other)
    with pytest.raises(ValueError, match="Invalid parameter"):
        made.set_params(fusions="gated")


@pytest.mark.parametrize("labels", [
    lambda n: np.arange(n) % 2 == 1, lambda n: np.arange(n) % 3, lambda n: [("1", 1)[i % 2] for i in range(n)],
    lambda n: pd.Series(["b", "a"] * (n // 2), index=range(5, n + 5)), lambda n: np.array(["", "na"] * (n // 2)),
])  # fmt: skip
def test_labels_of_every_type_come_back(labels: Any) -> None:
    y = np.asarray(labels(24), dtype=object if isinstance(labels(24), list) else None)
    if y.dtype == object and {type(one) for one in y} == {str, int}:
        with pytest.raises(TypeError):
            classifier(epochs=1).fit({"x": np.arange(24.0)}, y)
        return
    fitted = classifier(epochs=1).fit({"x": np.arange(24.0)}, labels(24))
    found = fitted.predict({"x": [3.0, 4.0]})
    assert found.dtype == np.unique(y).dtype and set(found) <= set(y)


def test_tables_that_are_no_frames() -> None:
    X, y = posts(24)
    records = X.to_dict("records")
    columns = {name: list(X[name]) for name in X.columns}
    made = [classifier(epochs=1).fit(table, y).predict_proba(X[:4]) for table in (X, records, columns, read_table(X))]
    assert all(np.array_equal(one, made[0]) for one in made)
    fitted = classifier(epochs=1).fit(records, y)
    assert fitted.predict_proba([{"text": "the sky is blue"}]).shape == (1, 2)  # a modality may be missing


def test_an_array_of_numbers_and_its_gaps() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    y = 2.0 * X[:, 0] + 1
    X[::7, 2] = np.nan
    fitted = plait.PlaitRegressor(preset="single", settings={"train.threads": 1}).fit(X, y)
    assert fitted.score(X, y) > 0.8 and [c.name for c in fitted.model_.schema.columns][:3] == ["x0", "x1", "x2"]
    assert not hasattr(fitted, "feature_names_in_")
    with pytest.raises(ValueError, match="infinity"):
        fitted.predict(np.full((1, 3), np.inf))


def test_a_regression_of_text_and_numbers() -> None:
    X, _ = posts(48)
    y = 10.0 * (np.arange(48) % 2) + X["size"].to_numpy()
    fitted = plait.PlaitRegressor(preset="fast", epochs=8, settings=SMALL).fit(X, y)
    assert fitted.score(X, y) > 0.8 and fitted.predict(X).shape == (48,)
    assert fitted.model_.task.name == "regression"


def test_what_is_wrong_is_said() -> None:
    X, y = posts(12)
    with pytest.raises(ValueError, match="one class, 'a'; a classifier needs 2"):
        classifier().fit(X, ["a"] * 12)
    with pytest.raises(ValueError, match="X has a column 'target of fit'"):
        classifier().fit(X.assign(**{"target of fit": 1}), y)
    with pytest.raises(ValueError, match="validation_fraction is 1"):
        classifier(validation_fraction=1).fit(X, y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        classifier().fit(X, y[:-1])
    with pytest.raises(ValueError, match="continuous"):
        classifier().fit(X, np.linspace(0, 1, 12))
    with pytest.raises(sklearn.exceptions.NotFittedError):
        classifier().predict(X)
    fitted = classifier(epochs=1).fit(X, y)
    with pytest.raises(ValueError, match="feature names should match"):
        fitted.predict(X[["size", "text", "photo"]])


def test_a_seed_is_kept_and_validation_rows_train_nothing() -> None:
    X, y = posts(40)
    one, same, other = (classifier(epochs=1, random_state=s).fit(X, y).predict_proba(X) for s in (1, 1, 2))
    assert np.array_equal(one, same) and not np.array_equal(one, other)
    by_state = classifier(epochs=1, random_state=np.random.RandomState(1)).fit(X, y)
    assert by_state.model_.report["splits"]["val"] == 4
    assert by_state.model_.report["splits"]["train"] == 36
    few = classifier(epochs=1, validation_fraction=0.01).fit(X, y)
    assert few.model_.report["splits"]["val"] == 1


def test_a_fitted_one_is_copied_to_another_process() -> None:
    X, y = posts(24)
    fitted = classifier(epochs=1, preset="fast").fit(X, y)
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.predict_proba(X), fitted.predict_proba(X))


def test_scikit_learn_is_imported_on_first_use() -> None:
    code = "import sys, plait; print('sklearn' in sys.modules); plait.PlaitClassifier; print('sklearn' in sys.modules)"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_numbers_that_count_the_rows_are_kept() -> None:
    """``plait.fit`` takes them for row numbers; whoever gives X means its numbers."""
    x = np.random.default_rng(0).permutation(60)
    X = pd.DataFrame({"x": x, "z": np.random.default_rng(1).normal(size=60)})
    made = plait.PlaitRegressor(preset="single", epochs=3, settings={"train.threads": 1, "train.baselines": False})
    made.fit(X, 2.0 * x)
    assert sorted(c for m in made.model_.modalities for c in m.columns) == ["x", "z"]


QUICK = {"train.threads": 1, "train.baselines": False}
FAILS = {
    "PlaitClassifier": {},
    "PlaitRegressor": {
        "check_methods_subset_invariance": "float32: a row alone and in a batch differ by up to 1e-6",
    },
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FAILS)
def test_check_estimator(name: str) -> None:
    """Everything that scikit-learn asks of an estimator, but what is named with its reason."""
    from sklearn.utils.estimator_checks import check_estimator

    made = getattr(plait, name)(
        preset="single", progress=False, settings={"train.threads": 1, "train.baselines": False}
    )
    results = check_estimator(made, expected_failed_checks=FAILS[name], on_fail=None, on_skip=None)
    failed = {one["check_name"]: str(one["exception"]) for one in results if one["status"] == "failed"}
    assert not failed and sum(one["status"] == "passed" for one in results) > 40
    skipped = {one["check_name"] for one in results if one["status"] == "skipped"}
    assert skipped <= {"check_array_api_input"}  # asks for SCIPY_ARRAY_API


def test_an_array_of_texts_is_told_what_to_type() -> None:
    for kind in (object, str):
        with pytest.raises(ValueError, match="an array that holds text.*give a data frame or a dictionary of columns"):
            plait.PlaitClassifier().fit(np.array([["loved it", "3"], ["bad", "4"]], dtype=kind), [0, 1])
