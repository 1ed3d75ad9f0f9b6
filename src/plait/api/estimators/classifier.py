"""``PlaitClassifier``: ``plait.fit`` of a classification as an estimator of scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d

from plait.api.estimators.fitting import SavesModel, fit_estimator
from plait.api.estimators.rows import MatrixLike, is_pandas, is_records, table_of
from plait.api.other_words import SetsOurWords, says_our_words
from plait.api.watching import WatchedBy

UNLIKE_TEXT = ("", "true", "false", "none", "nan", "null", "na", "n/a")


class PlaitClassifier(SetsOurWords, SavesModel, ClassifierMixin, BaseEstimator):
    """A classifier of rows with text, images, sound and numbers, for scikit-learn's tools.

    Args:
        text: Columns of ``X`` to read as text, like ``image`` to ``ignore``; columns that are not named are guessed.
        recipe: As for :func:`plait.fit`, like ``preset`` to ``epochs``, ``on_bad_row`` to ``allow_remote``.
        random_state: Seed of everything random, as scikit-learn takes it.
        validation_fraction: Share of each class that trains nothing and chooses the epoch and the members of an
            ensemble, above 0 and below 1; ``model_.report`` is of these rows.
        settings: Further settings, ``set=`` of :func:`plait.fit`: a mapping such as ``{"train.batch_size": 16}``.
        progress: As for :func:`plait.fit`; False: no bars.

    Attributes:
        model_: The fitted :class:`plait.Plait`, with its report.
        classes_: The classes, in order [C].
        n_features_in_: Number of columns of ``X``.
        feature_names_in_: Their names, where ``X`` has names.

    Example:
        >>> import plait
        >>> rows = [{"text": f"the sky is {w}", "size": i} for i in range(12) for w in ("blue", "grey")]
        >>> small = plait.PlaitClassifier(epochs=2, preset="single", settings={"encoders.text": "scratch:text"})
        >>> small.fit(rows, ["dry", "wet"] * 12).predict_proba(rows[:3]).shape
        (3, 2)
    """

    @says_our_words
    def __init__(
        self, *, text: Sequence[str] | str = (), image: Sequence[str] | str = (), audio: Sequence[str] | str = (),
        image_set: Sequence[str] | str = (), vector: Sequence[str] | str = (), numeric: Sequence[str] | str = (),
        categorical: Sequence[str] | str = (), date: Sequence[str] | str = (), ignore: Sequence[str] | str = (),
        recipe: str = "default", preset: str | None = None, time_limit: str | float | None = None,
        fusion: str | None = None, epochs: int | None = None,
        random_state: int | np.random.RandomState | None = 0, validation_fraction: float = 0.1,
        on_bad_row: str | None = None, allow_outside: bool = False, allow_remote: bool = False,
        settings: Mapping[str, Any] | None = None, progress: WatchedBy = None,
    ) -> None:  # fmt: skip
        self.text, self.image, self.audio, self.image_set, self.vector = text, image, audio, image_set, vector
        self.numeric, self.categorical, self.date, self.ignore = numeric, categorical, date, ignore
        self.recipe, self.preset, self.time_limit, self.fusion, self.epochs = recipe, preset, time_limit, fusion, epochs
        self.random_state, self.validation_fraction = random_state, validation_fraction
        self.on_bad_row, self.allow_outside, self.allow_remote = on_bad_row, allow_outside, allow_remote
        self.settings, self.progress = settings, progress

    def fit(self, X: MatrixLike, y: ArrayLike) -> PlaitClassifier:
        """Fit the model.

        Args:
            X: A data frame, dictionary of columns or list of dictionaries; or an array [N, F] of numbers.
            y: The class of each row [N]: text, whole numbers or truth values.

        Raises:
            ValueError: As :func:`plait.fit`; or ``y`` holds numbers that are no classes, or one class alone.
        """
        y = _labels(X, y)
        self.classes_, numbers = np.unique(y, return_inverse=True)
        if len(self.classes_) == 1:
            raise ValueError(f"y holds one class, {str(self.classes_[0])!r}; a classifier needs 2 classes or more")
        self._names = _names(self.classes_)
        target = [self._names[number] for number in numbers]
        self.model_ = fit_estimator(self, X, target, task="classification", kind="categorical", strata=numbers)
        return self

    def predict_proba(self, X: MatrixLike) -> np.ndarray:
        """Probabilities [N, C], columns as in ``classes_``.

        Raises:
            ValueError: ``X`` has other columns than in ``fit``, or as :meth:`plait.Plait.predict_proba`.
        """
        check_is_fitted(self, "model_")
        table, _ = table_of(self, X, reset=False)
        found = self.model_.predict_proba(table, progress=self.progress)
        made = np.zeros((len(table), len(self.classes_)))
        for name, values in zip(self.model_.labels.classes, found.T, strict=True):
            made[:, self._names.index(name)] = values
        return made

    def predict(self, X: MatrixLike) -> np.ndarray:
        """The most probable class of each row [N].

        Raises:
            ValueError: As :meth:`predict_proba`.
        """
        numbers = self.predict_proba(X).argmax(axis=1)
        return self.classes_[numbers]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.string = True
        return tags


def _labels(X: MatrixLike, y: ArrayLike) -> np.ndarray:
    if y is None:
        raise ValueError("requires y to be passed, but the target y is None")
    labels = column_or_1d(y, warn=True)
    check_classification_targets(labels)
    if is_pandas(X) or is_records(X):
        check_consistent_length(X, labels)
    return np.asarray(labels)


def _names(classes: np.ndarray) -> list[str]:
    """The classes as text, for the report; numbered where two read alike, or one as a truth value or as nothing."""
    names = [str(one) for one in classes]
    is_plain = [name.strip() == name and name.casefold() not in UNLIKE_TEXT for name in names]
    return names if len(set(names)) == len(names) and all(is_plain) else [f"class {i}" for i in range(len(names))]
