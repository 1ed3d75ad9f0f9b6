"""Words of AutoGluon and scikit-learn and what to type for them here: the one table, and how it is worded.

``plait.fit`` and the other functions, the estimators, a fitted model, the package and the command line answer from it.
An entry of ARGUMENTS holds what to type, where it can be pasted (``name={}`` an argument with the value that was given,
``group.name={}`` a setting), and a sentence, or what to do where nothing can be pasted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from plait.registry import unknown_name
from plait.settings.groups import SELECTORS
from plait.settings.names import PRESET_NAMES

METRIC = ("task.select_by={}", "by which epochs are chosen; every metric stands in the report")
SPLIT = (
    "split=COLUMN",
    "the name of a column that says train, val or test in each row; without one a tenth is held out",
)
PAIRS = ("", "text=COLUMN and image=COLUMN, with task='matching' or 'retrieval'")
TABLE = ("", "plait.fit(TABLE, target=COLUMN), the table as the first argument")
SEARCH = ("search=9", "the number of configurations to try")
QUIET = ("progress=False", "for no bars")
EPOCHS = ("epochs={}", "")
RATE = ("train.learning_rate={}", "")
ENSEMBLE = ("", "nothing: members answer together by default; preset='best' tries more, 'single' is one network")
ARGUMENTS: dict[str, tuple[str, str]] = {
    "label": ("target={}", "the name of the column to predict"),
    "y": ("", "target=COLUMN, the name of a column of the table; PlaitClassifier().fit(X, y) takes them apart"),
    "X": ("", "plait.fit(TABLE, target=COLUMN); PlaitClassifier().fit(X, y) takes them apart"),
    "train_data": TABLE, "data": TABLE, "df": TABLE,
    "presets": ("", "preset='fast', 'default' or 'best'"),
    "problem_type": ("", "task='classification', 'multilabel' or 'regression'"),
    "eval_metric": METRIC, "metric": METRIC, "validation_metric": METRIC, "scoring": METRIC,
    "tuning_data": SPLIT, "validation_data": SPLIT, "holdout_frac": SPLIT, "test_size": SPLIT, "test_data": SPLIT,
    "groups": ("group=COLUMN", "the name of the column"),
    "query": PAIRS, "response": PAIRS,
    "hyperparameters": ("", "set={'fusion.width': 256, 'train.learning_rate': 0.001}, the settings by name"),
    "ag_args_fit": ("", "set={'train.epochs': 10}, the settings by name"),
    "hyperparameter_tune_kwargs": SEARCH, "num_trials": SEARCH, "n_iter": SEARCH,
    "excluded_model_types": ("preset='single'", "one network alone"),
    "use_ensemble": ENSEMBLE, "auto_stack": ENSEMBLE, "fit_weighted_ensemble": ENSEMBLE,
    "num_bag_folds": ("ensemble.folds={}", ""),
    "column_types": ("", "text=COLUMN, image=COLUMN, numeric=COLUMN, ..., the kind as the word"),
    "path": ("output={}", "the folder of the model"), "save_path": ("output={}", "the folder of the model"),
    "random_state": ("seed={}", ""), "random_seed": ("seed={}", ""),
    "max_iter": EPOCHS, "num_epochs": EPOCHS, "max_epochs": EPOCHS,
    "batch_size": ("train.batch_size={}", ""), "learning_rate": RATE, "lr": RATE,
    "sample_weight": ("task.class_weights=True", "single rows have no weights"),
    "class_weight": ("task.class_weights=True", ""),
    "enable_progress_bar": QUIET, "verbosity": QUIET, "verbose": QUIET,
    "lang_code": ("lang='zh'", ""), "standalone": ("", "nothing: plait weights fetch keeps encoders for all models"),
}  # fmt: skip
OF_VERB: dict[str, dict[str, tuple[str, str]]] = {  # where a word means something else than in fit
    "evaluate": {
        "metrics": ("", "nothing: every metric of the task stands in evaluate(TABLE)['evaluation']['metrics']"),
        "test_data": ("", "plait.load(FOLDER).evaluate(TABLE), the table as the first argument"),
        "data": ("", "plait.load(FOLDER).evaluate(TABLE), the table as the first argument"),
    },
    "predict": {"as_pandas": ("as_frame={}", "")},
    "predict_proba": {
        "as_pandas": ("as_frame={}", ""),
        "as_multiclass": ("", "nothing: a column for each class, two where there are two"),
    },
}  # fmt: skip
UNFIT = ("", "fit(X, y): estimators get the target there, apart from the table")
HELD = ("validation_fraction=0.1", "the share of the rows that chooses; other rows never train it")
IN_A_GRID = "{'settings': [{'train.learning_rate': 0.01}, {'train.learning_rate': 0.001}]}"
GRID = ("", f"GridSearchCV(estimator, {IN_A_GRID})")
OF_ESTIMATOR: dict[str, tuple[str, str]] = {
    "label": UNFIT, "target": UNFIT, "y": UNFIT, "X": UNFIT, "train_data": UNFIT, "data": UNFIT, "df": UNFIT,
    "holdout_frac": ("validation_fraction={}", "the share of the rows that chooses"), "tuning_data": HELD,
    "validation_data": HELD, "split": HELD,
    "test_size": ("validation_fraction={}", "the share of the rows that chooses"),
    "test_data": HELD, "hyperparameter_tune_kwargs": GRID, "num_trials": GRID, "n_iter": GRID, "search": GRID,
    "seed": ("random_state={}", ""), "random_seed": ("random_state={}", ""),
    "path": ("", "fit(X, y).model_.save(FOLDER)"), "save_path": ("", "fit(X, y).model_.save(FOLDER)"),
    "output": ("", "fit(X, y).model_.save(FOLDER)"), "task": ("", "PlaitClassifier or PlaitRegressor"),
    "problem_type": ("", "PlaitClassifier or PlaitRegressor"), "set": ("", "settings={'train.batch_size': 16}"),
    "hyperparameters": ("", "settings={'fusion.width': 256, 'train.learning_rate': 0.001}, the settings by name"),
    "ag_args_fit": ("", "settings={'train.epochs': 10}, the settings by name"),
    "groups": ("", "cross_val_score(estimator, X, y, cv=GroupKFold(), groups=GROUPS)"),
    "group": ("", "cross_val_score(estimator, X, y, cv=GroupKFold(), groups=GROUPS)"),
    "lang_code": ("judge.lang='zh'", ""), "lang": ("judge.lang={}", ""),
    "query": ("", "plait.fit with task='matching' or 'retrieval'; estimators have neither"),
    "response": ("", "plait.fit with task='matching' or 'retrieval'; estimators have neither"),
}  # fmt: skip
PRESETS = {
    "extreme": "best", "best": "best", "high": "best", "good": "default", "medium": "fast",
    "optimize_for_deployment": "single", "experimental_quality": "best", "interpretable": "single",
}  # fmt: skip
PROBLEMS = {
    "binary": "task='classification'", "multiclass": "task='classification'", "softclass": "task='classification'",
    "classification": "task='classification'", "multilabel": "task='multilabel'", "regression": "task='regression'",
    "few_shot_classification": "preset='prototypes'",
}  # fmt: skip
PROBLEMS_TOLD = {
    "image_text_similarity": "task='matching', where a label says which pairs belong together, or task='retrieval'",
    "text_similarity": "task='matching', where a label says which pairs belong together, or task='retrieval'",
    "image_similarity": "task='matching', where a label says which pairs belong together, or task='retrieval'",
    "zero_shot_image_classification": "plait.two_tower(...).described('labels.yaml') (docs/few-labels.md)",
}  # fmt: skip
METRICS = {
    "f1": "f1_macro", "roc_auc": "auroc", "root_mean_squared_error": "rmse", "mean_absolute_error": "mae",
    "nll": "log_loss", "pearsonr": "pearson", "acc": "accuracy",
}  # fmt: skip

# What is asked of a model or of the package -> what to type in Python, and what as_typed turns into a command line.
CLASSIFIED = ("model.labels.classes", "plait predict MODEL TABLE, which has a column for each class")
NAMES: dict[str, tuple[str, str]] = {
    "leaderboard": (
        "model.leaderboard(), after model.evaluate(TABLE) with its numbers",
        "plait evaluate MODEL TABLE, which lists the models that were tried",
    ),
    "fit_summary": ("model.leaderboard() and model.report", "plait evaluate MODEL TABLE; all is in MODEL/report.html"),
    "feature_importance": ("model.explain(TABLE)", "plait.explain(MODEL, TABLE, report='why.html')"),
    "feature_importances_": ("model.explain(TABLE)", "plait.explain(MODEL, TABLE, report='why.html')"),
    "permutation_importance": ("model.explain(TABLE)", "plait.explain(MODEL, TABLE, report='why.html')"),
    "extract_embedding": (
        "model.embed(TABLE, MODALITY), which a model of task='retrieval' or of plait.two_tower has",
        "plait.build_index(MODEL, TABLE, output=INDEX), of a model of task='retrieval'",
    ),
    "class_labels": CLASSIFIED, "classes_": CLASSIFIED, "positive_class": CLASSIFIED,
    "problem_type": ("model.task.name", "plait evaluate MODEL TABLE"),
    "eval_metric": ("model.task.primary", "plait evaluate MODEL TABLE"),
    "model_names": ("[one['name'] for one in model.leaderboard()]", "plait evaluate MODEL TABLE"),
    "info": ("model, or model.report", "plait doctor"),
    "score": ("model.evaluate(TABLE)['evaluation']['metrics']", "plait evaluate MODEL TABLE"),
    "evaluate_predictions": ("model.evaluate(TABLE)", "plait evaluate MODEL TABLE"),
    "fit": ("plait.fit(TABLE, target=COLUMN), another model", "plait.fit(TABLE, target=COLUMN, output=MODEL)"),
    "export_onnx": ("plait.export(model, FOLDER)", "plait.export(MODEL, onnx=FOLDER)"),
    "calibrate_decision_threshold": ("model.calibrate(TABLE)", "plait.calibrate(MODEL, TABLE, output=CALIBRATED)"),
    "set_num_gpus": ("model.to(DEVICE)", "CUDA_VISIBLE_DEVICES"),
    "predict_proba": ("model.predict_proba(TABLE)", "plait predict MODEL TABLE, which has a column for each class"),
    "MultiModalPredictor": ("plait.fit(TABLE, target=COLUMN); plait.load(FOLDER) for a saved model", "plait fit"),
    "AutoMMPredictor": ("plait.fit(TABLE, target=COLUMN); plait.load(FOLDER) for a saved model", "plait fit"),
    "TabularPredictor": ("plait.fit(TABLE, target=COLUMN); plait.load(FOLDER) for a saved model", "plait fit"),
    "TabularDataset": ("plait.fit(PATH, target=COLUMN), a path or a data frame as the first argument", "plait fit"),
    "train": ("plait.fit(TABLE, target=COLUMN)", "plait fit"),
    "predict": ("plait.load(FOLDER).predict(TABLE)", "plait predict"),
    "evaluate": ("plait.load(FOLDER).evaluate(TABLE)", "plait evaluate"),
    "explain": ("plait.load(FOLDER).explain(TABLE)", "plait explain"),
    "version": ("plait.__version__", "plait version=True"),
    "infer": ("model.predict(TABLE)", "plait predict"), "inference": ("model.predict(TABLE)", "plait predict"),
    "eval": ("model.evaluate(TABLE)", "plait evaluate"), "test": ("model.evaluate(TABLE)", "plait evaluate"),
    "report": ("model.report", "plait.evaluate(MODEL, TABLE, report='report.html')"),
    "validate": ("plait.check(TABLE)", "plait check"), "save": ("model.save(FOLDER)", "plait.fit(TABLE, output=MODEL)"),
    "load": ("plait.load(FOLDER)", "plait predict MODEL TABLE, which loads it"),
}  # fmt: skip


def instead_of(word: str, value: object, own: Mapping[str, tuple[str, str]]) -> tuple[str, str] | None:
    """What to type for a word of another library: what can be pasted (may be empty), and the rest of the sentence.

    Args:
        word: Such as "label".
        value: What was given with it.
        own: Words that mean something else here than in ``plait.fit``.

    Returns:
        None: No such word.
    """
    if word in own:
        return own[word]
    first = value[0] if isinstance(value, list | tuple) and value else value
    if word == "presets" and (preset := f"preset={first!r}" if first in PRESET_NAMES else preset_of(first)):
        return preset, ""
    if word == "problem_type":
        return PROBLEMS.get(str(value), ""), "" if str(value) in PROBLEMS else _told(value)
    known = ARGUMENTS.get(word)
    if known is METRIC:
        name = METRICS.get(str(value), value)
        if name in SELECTORS:
            return f"task.select_by={name!r}", METRIC[1]
        return "", f"set={{'task.select_by': METRIC}}; it is one of {', '.join(SELECTORS)}"
    return known


def preset_of(name: object) -> str | None:
    """What to type for a preset of AutoGluon, None for no such; ``_hpo`` behind a name is its search.

    Example:
        >>> preset_of("medium_quality_faster_train"), preset_of("best_quality_hpo"), preset_of("odd")
        ("preset='fast'", "preset='best', search=9", None)
    """
    if not isinstance(name, str):
        return None
    ours = PRESETS.get(name.removesuffix("_hpo").partition("_quality")[0]) or PRESETS.get(name)
    return None if ours is None else f"preset={ours!r}" + (", search=9" if name.endswith("_hpo") else "")


def can_be_pasted(entry: tuple[str, str]) -> bool:
    """Whether the rest of a call needs no more than what an entry holds to be typed."""
    return bool(entry[0]) or entry is TABLE or entry[1].startswith("nothing")


def _told(value: object) -> str:
    return PROBLEMS_TOLD.get(str(value), ARGUMENTS["problem_type"][1])


def pasted(typed: str, value: object, settings: str = "set") -> str:
    """What to type in Python for an entry of the table.

    Example:
        >>> pasted("target={}", "price"), pasted("train.learning_rate={}", 0.1)
        ("target='price'", "set={'train.learning_rate': 0.1}")
    """
    shown = repr(value) if isinstance(value, str | int | float | bool) else "VALUE"
    name, _, given = typed.partition("=")
    given = given.replace("{}", shown)
    return f"{settings}={{{name!r}: {given}}}" if "." in name else f"{name}={given}"


def refusal(
    function: str, wrong: Mapping[str, object], right: Mapping[str, object], known: Iterable[str],
    own: Mapping[str, tuple[str, str]] | None = None, *, settings: str = "set", table: str = "",
) -> str:  # fmt: skip
    """The message for arguments that a function does not have: all of them at once, and the call to type.

    Args:
        function: As it is called, such as "plait.fit".
        wrong: What it does not have, with the values.
        right: What it has and was given by name.
        known: The names that it has.
        own: As for :func:`instead_of`.
        settings: The argument that takes settings by name.
        table: What stands first in the call, such as "TABLE".
    """
    found = {word: instead_of(word, value, own or {}) for word, value in wrong.items()}
    lines = {
        word: unknown_name("argument", word, list(known)) if one is None
        else "Type " + ", ".join(part for part in (one[0] and _python(one[0], wrong[word], settings), one[1]) if part)
        for word, one in found.items()
    }  # fmt: skip
    if len(lines) == 1:
        return f"{function}() has no {next(iter(wrong))}=. {next(iter(lines.values()))}"
    listed = "\n".join(f"  {word}=: {line[:1].lower() + line[1:]}" for word, line in lines.items())
    said = f"{function}() has no {', '.join(f'{word}=' for word in wrong)}."
    if all(one is not None and can_be_pasted(one) for one in found.values()):
        call = _call(function, {w: one[0] for w, one in found.items() if one and one[0]}, wrong, right, settings, table)
        said += f" Type {call}"
    return f"{said}\n{listed}"


def _python(typed: str, value: object, settings: str) -> str:
    return ", ".join(pasted(one, value, settings) for one in typed.split(", "))


def _call(
    function: str, typed: Mapping[str, str], wrong: Mapping[str, object], right: Mapping[str, object], settings: str,
    table: str,
) -> str:  # fmt: skip
    """The whole call, with one mapping of settings."""
    named = {
        name: repr(value) if isinstance(value, str | int | float | bool | dict) else "VALUE"
        for name, value in right.items() if name != settings
    }  # fmt: skip
    given = right.get(settings)
    chosen: dict[str, Any] = {name: repr(value) for name, value in given.items()} if isinstance(given, Mapping) else {}
    for word, entry in typed.items():
        for one in entry.split(", "):
            name, _, text = pasted(one, wrong[word], settings).partition("=")
            if name == settings:
                setting, _, text = text[1:-1].partition(": ")
                chosen[setting[1:-1]] = text
            else:
                named.setdefault(name, text)
    words = [*([table] if table else []), *(f"{name}={text}" for name, text in named.items())]
    words += [f"{settings}={{{', '.join(f'{n!r}: {v}' for n, v in chosen.items())}}}"] if chosen else []
    return f"{function}({', '.join(words)})"
