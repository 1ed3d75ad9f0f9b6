"""Words of AutoGluon and scikit-learn get an error that says what to type; ``set=`` takes a mapping."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import plait
from plait.settings import RunSettings, assignments_of, set_values
from plait.settings.other_words import ARGUMENTS, OF_ESTIMATOR, preset_of

ROWS = {"text": ["a b", "c d"] * 4, "label": ["x", "y"] * 4}
TRIED = {
    "task.select_by": "f1_macro", "ensemble.folds": "3", "train.batch_size": "8", "train.learning_rate": "0.1",
    "task.class_weights": "true", "judge.lang": "zh",
}  # fmt: skip


@pytest.mark.parametrize(
    ("given", "typed"),
    [
        ({"label": "label"}, r"plait.fit\(\) has no label=. Type target='label', the name of the column"),
        ({"presets": "best_quality"}, r"no presets=. Type preset='best'$"),
        ({"presets": "high_quality_hpo"}, r"Type preset='best', search=9$"),
        ({"holdout_frac": 0.2}, "Type split=COLUMN"),
        ({"query": "text"}, "task='matching' or 'retrieval'"),
        ({"use_ensemble": True}, "Type nothing: members answer together by default"),
        ({"validation_metric": "acc"}, r"Type set=\{'task.select_by': 'accuracy'\}"),
        ({"problem_type": "few_shot_classification"}, "Type preset='prototypes'"),
        ({"problem_type": "image_text_similarity"}, "Type task='matching', where a label says"),
        ({"problem_type": "zero_shot_image_classification"}, r"Type plait.two_tower\("),
        ({"presets": "odd"}, "Type preset='fast', 'default' or 'best'"),
        ({"problem_type": "binary"}, "Type task='classification'"),
        ({"eval_metric": "f1_macro"}, r"Type set=\{'task.select_by': 'f1_macro'\}"),
        ({"eval_metric": "f1"}, r"Type set=\{'task.select_by': 'f1_macro'\}"),
        ({"eval_metric": "log"}, r"Type set=\{'task.select_by': METRIC\}; it is one of accuracy, balanced_accuracy"),
        ({"y": [1]}, r"PlaitClassifier\(\).fit\(X, y\)"),
        ({"random_state": 3}, "Type seed=3"),
        ({"lr": 0.1}, r"Type set=\{'train.learning_rate': 0.1\}"),
        ({"tarjet": "label"}, "Did you mean 'target'"),
    ],
)
def test_a_word_of_another_library(given: dict[str, object], typed: str) -> None:
    with pytest.raises(TypeError, match=typed):
        plait.fit(ROWS, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("verb", ["fit", "compare", "check"])
def test_a_target_apart_from_the_table(verb: str) -> None:
    with pytest.raises(TypeError, match=r"target is a ndarray of shape \(8,\); expected the name of a column"):
        getattr(plait, verb)(ROWS, np.zeros(8))


def test_a_preset_of_autogluon() -> None:
    with pytest.raises(ValueError, match="'medium_quality' is a word of AutoGluon. Type preset='fast'"):
        plait.fit(ROWS, target="label", preset="medium_quality")


def test_settings_as_a_mapping() -> None:
    nested = {"train": {"epochs": 3, "augment": None}, "fusion.name": "gated", "data": {"ignore": ["a, b"]}}
    assert assignments_of(nested) == [
        "train.epochs=3", "train.augment=null", 'fusion.name="gated"', 'data.ignore=["a, b"]',
    ]  # fmt: skip
    made = set_values(RunSettings(), assignments_of({"train.epochs": 3, "data": {"decimal": ",", "id": "3"}}))
    assert (made.train.epochs, made.data.decimal, made.data.id) == (3, ",", "3")
    assert assignments_of("train.epochs=3") == ["train.epochs=3"] and assignments_of(()) == []
    columns = {"encoders": {"columns": {"caption_zh": "scratch:text"}}}
    assert set_values(RunSettings(), assignments_of(columns)).encoders.columns == {"caption_zh": "scratch:text"}


@pytest.mark.parametrize("wrong", [3, [3], {"train.epochs": object()}])
def test_settings_of_another_type(wrong: object) -> None:
    with pytest.raises(TypeError, match="expected"):
        assignments_of(wrong)  # type: ignore[arg-type]


def test_an_unknown_setting_of_a_mapping_is_named() -> None:
    with pytest.raises(ValueError, match="unknown setting in train 'epoch'. Did you mean 'epochs'"):
        plait.fit(ROWS, target="label", set={"train": {"epoch": 3}})


def test_all_wrong_words_at_once_with_the_call_to_type() -> None:
    with pytest.raises(TypeError) as refused:
        plait.fit(ROWS, label="label", presets="medium_quality", time_limit=120, eval_metric="f1", set={"a.b": 3})  # type: ignore[call-arg]
    first, *lines = str(refused.value).splitlines()
    assert first == (
        "plait.fit() has no label=, presets=, eval_metric=. Type plait.fit(TABLE, time_limit=120, target='label', "
        "preset='fast', set={'a.b': 3, 'task.select_by': 'f1_macro'})"
    )
    assert [line.split("=")[0].strip() for line in lines] == ["label", "presets", "eval_metric"]


@pytest.mark.parametrize("name", ["MultiModalPredictor", "TabularPredictor"])
def test_a_class_of_autogluon(name: str) -> None:
    with pytest.raises(AttributeError, match=r"Type plait.fit\(TABLE, target=COLUMN\)"):
        getattr(plait, name)
    with pytest.raises(ImportError, match=r"Type plait.fit\(TABLE, target=COLUMN\)"):
        exec(f"from plait import {name}")
    assert not hasattr(plait, name)
    exec("from plait import explain, report")  # rooms, whatever another library calls so


@pytest.mark.parametrize(
    ("given", "typed"),
    [
        ({"label": "s"}, r"no label=. Type fit\(X, y\)"),
        (
            {"seed": 3, "lr": 0.1},
            r"Type plait.PlaitClassifier\(random_state=3, settings=\{'train.learning_rate': 0.1\}",
        ),
        ({"presets": "best_quality", "max_iter": 5}, r"Type plait.PlaitClassifier\(preset='best', epochs=5\)"),
    ],
)
def test_an_estimator(given: dict[str, object], typed: str) -> None:
    with pytest.raises(TypeError, match=typed):
        plait.PlaitClassifier(**given)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"In a grid: \{'settings': \["):
        plait.PlaitRegressor().set_params(learning_rate=0.1)


def test_a_model() -> None:
    from plait.api.predictor import Plait

    model = Plait.__new__(Plait)
    for name, typed in [
        ("fit_summary", "model.leaderboard"),
        ("feature_importance", "model.explain"), ("class_labels", "labels.classes"),
        ("extract_embedding", r"model.embed\("),
    ]:  # fmt: skip
        with pytest.raises(AttributeError, match=rf"has no attribute '{name}'. Type .*{typed}"):
            getattr(model, name)
    with pytest.raises(AttributeError, match="'Plait' object has no attribute 'odd'$"):
        _ = model.odd
    with pytest.raises(TypeError, match=r"model.leaderboard\(\) takes .*Type model.leaderboard\(\), after model.evalu"):
        model.leaderboard(ROWS)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"model.evaluate\(\) has no metrics=. Type nothing: every metric"):
        model.evaluate(ROWS, metrics=["f1"])  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"model.predict_proba\(\) has no as_pandas=. Type as_frame=True"):
        model.predict_proba(ROWS, as_pandas=True)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"model.save\(\) needs folder. Type model.save\(FOLDER\)"):
        model.save()  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("medium_quality_faster_train", "preset='fast'"), ("best_quality_v150", "preset='best'"),
        ("high_quality_fast_inference_only_refit", "preset='best'"), ("good_quality", "preset='default'"),
        ("odd", None), ("fast", None),
    ],
)  # fmt: skip
def test_presets_of_autogluon(name: str, ours: str | None) -> None:
    assert preset_of(name) == ours


def test_what_is_to_be_typed_is_there() -> None:
    """Every argument and setting that the table names exists, in fit or in the estimators."""
    settings = RunSettings()
    for table, function in [(ARGUMENTS, plait.fit), (OF_ESTIMATOR, plait.PlaitClassifier)]:
        known = inspect.signature(function).parameters
        for word, (typed, _) in table.items():
            name, _, value = typed.partition("=")
            assert word not in known or table is OF_ESTIMATOR, word
            if "." in name:
                set_values(settings, [f"{name}={TRIED.get(name, value)}"])
            else:
                assert not name or name in known, (word, name)
