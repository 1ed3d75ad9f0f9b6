"""Words of AutoGluon and scikit-learn get an error that says what to type; ``set=`` takes a mapping."""

from __future__ import annotations

import numpy as np
import pytest

import plait
from plait.settings import RunSettings, assignments_of, set_values

ROWS = {"text": ["a b", "c d"] * 4, "label": ["x", "y"] * 4}


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
