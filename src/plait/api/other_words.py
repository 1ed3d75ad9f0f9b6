"""Words of AutoGluon and scikit-learn in ``plait.fit``: an error that says what to type here."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from plait.registry import unknown_name
from plait.settings import SELECTORS

Given = ParamSpec("Given")
Made = TypeVar("Made")

# Word of another library -> what to type here; {} is the value that was given.
WORDS = {
    "label": "target={}, the name of the column to predict",
    "y": "target=COLUMN, the name of a column of the table; PlaitClassifier().fit(X, y) takes them apart",
    "X": "plait.fit(TABLE, target=COLUMN); PlaitClassifier().fit(X, y) takes them apart",
    "train_data": "plait.fit(TABLE, target=COLUMN), the table as the first argument",
    "data": "plait.fit(TABLE, target=COLUMN), the table as the first argument",
    "presets": "preset='fast', 'default' or 'best'",
    "problem_type": "task='classification', 'multilabel' or 'regression'",
    "eval_metric": "set={{'task.select_by': {}}}, by which epochs are chosen; every metric stands in the report",
    "metric": "set={{'task.select_by': {}}}, by which epochs are chosen; every metric stands in the report",
    "validation_metric": "set={{'task.select_by': {}}}, by which epochs are chosen; every metric stands in the report",
    "tuning_data": "split=COLUMN, the name of a column that says train, val or test in each row",
    "validation_data": "split=COLUMN, the name of a column that says train, val or test in each row",
    "holdout_frac": "split=COLUMN, the name of a column that says train, val or test in each row; a tenth is held out",
    "groups": "group=COLUMN, the name of the column",
    "query": "text=COLUMN and image=COLUMN, with task='matching' or 'retrieval'",
    "response": "text=COLUMN and image=COLUMN, with task='matching' or 'retrieval'",
    "hyperparameters": "set={{'fusion.width': 256, 'train.learning_rate': 0.001}}, the settings by name",
    "hyperparameter_tune_kwargs": "search=9, the number of configurations to try",
    "num_trials": "search=9, the number of configurations to try",
    "excluded_model_types": "preset='single', one network alone",
    "use_ensemble": "nothing: members answer together by default; preset='best' tries more, 'single' is one network",
    "num_bag_folds": "set={{'ensemble.folds': {}}}",
    "ag_args_fit": "set={{'train.epochs': 10}}, the settings by name",
    "column_types": "text=COLUMN, image=COLUMN, numeric=COLUMN, ..., the kind as the word",
    "path": "output={}, the folder of the model",
    "save_path": "output={}, the folder of the model",
    "random_state": "seed={}",
    "random_seed": "seed={}",
    "max_iter": "epochs={}",
    "num_epochs": "epochs={}",
    "max_epochs": "epochs={}",
    "batch_size": "set={{'train.batch_size': {}}}",
    "learning_rate": "set={{'train.learning_rate': {}}}",
    "lr": "set={{'train.learning_rate': {}}}",
    "sample_weight": "set={{'task.class_weights': True}}; single rows have no weights",
    "enable_progress_bar": "progress=False for no bars",
    "verbosity": "progress=False for no bars",
    "verbose": "progress=False for no bars",
    "lang_code": "lang='zh'",
}
PRESETS = {
    "best_quality": "best", "high_quality": "best", "good_quality": "default", "medium_quality": "fast",
    "optimize_for_deployment": "single", "extreme_quality": "best",
}  # fmt: skip

PROBLEMS = {
    "few_shot_classification": "preset='prototypes' (docs/few-labels.md)",
    "image_text_similarity": "task='matching', where a label says which pairs belong together, or task='retrieval'",
    "text_similarity": "task='matching', where a label says which pairs belong together, or task='retrieval'",
    "image_similarity": "task='matching', where a label says which pairs belong together, or task='retrieval'",
    "zero_shot_image_classification": "plait.two_tower(...).described('labels.yaml') (docs/few-labels.md)",
}  # fmt: skip

METRICS = {
    "f1": "f1_macro", "roc_auc": "auroc", "root_mean_squared_error": "rmse", "mean_absolute_error": "mae",
    "nll": "log_loss", "pearsonr": "pearson", "acc": "accuracy",
}  # fmt: skip


def says_our_words(function: Callable[Given, Made]) -> Callable[Given, Made]:
    """Let a function that takes a table and ``target=`` answer words of other libraries with what to type.

    The function raises ``TypeError`` for a word that it does not have, and for a target that is a column itself.
    """
    known = inspect.signature(function).parameters
    name = f"plait.{function.__name__}"

    @functools.wraps(function)
    def checked(*arguments: Given.args, **named: Given.kwargs) -> Made:
        for word, value in named.items():
            if word not in known:
                raise TypeError(f"{name}() has no {word}=. {_instead(word, value, list(known))}")
        target = named.get("target", arguments[1] if len(arguments) > 1 else None)
        if target is not None and not isinstance(target, str):
            raise TypeError(
                f"target is {_kind(target)}; expected the name of a column of the table. Put it into the table: "
                f"{name}(X.assign(label=y), target='label'), or type plait.PlaitClassifier().fit(X, y)"
            )
        preset = named.get("preset")
        if isinstance(preset, str) and (ours := _preset(preset)):
            raise ValueError(f"preset={preset!r} is a word of AutoGluon. Type {ours}")
        return function(*arguments, **named)

    return checked


def _instead(word: str, value: object, known: list[str]) -> str:
    if word == "presets" and isinstance(value, str) and (ours := _preset(value)):
        return f"Type {ours}"
    if word == "problem_type" and str(value) in PROBLEMS:
        return f"Type {PROBLEMS[str(value)]}"
    if word in ("eval_metric", "metric", "validation_metric"):
        value = METRICS.get(str(value), value)
        if value not in SELECTORS:
            return f"Type set={{'task.select_by': METRIC}}; it is one of {', '.join(SELECTORS)}"
    if word in WORDS:
        return f"Type {WORDS[word].format(_shown(value))}"
    return unknown_name("argument", word, known)


def _preset(name: str) -> str | None:
    """What to type for a preset of AutoGluon, None for no such; ``_hpo`` behind a name is its search."""
    ours = PRESETS.get(name.removesuffix("_hpo"))
    return None if ours is None else f"preset={ours!r}" + (", search=9" if name.endswith("_hpo") else "")


def _shown(value: object) -> str:
    return repr(value) if isinstance(value, str | int | float | bool) else "VALUE"


def _kind(value: object) -> str:
    shape = getattr(value, "shape", None)
    kind = f"a {type(value).__name__}"
    return f"{kind} of shape {tuple(shape)}" if shape is not None else kind
