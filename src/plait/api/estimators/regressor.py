"""``PlaitRegressor``: ``plait.fit`` of a regression as an estimator of scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_array
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d

from plait.api.estimators.fitting import SavesModel, fit_estimator
from plait.api.estimators.rows import MatrixLike, is_pandas, is_records, table_of
from plait.api.other_words import SetsOurWords, says_our_words
from plait.api.watching import WatchedBy


class PlaitRegressor(SetsOurWords, SavesModel, RegressorMixin, BaseEstimator):
    """A regressor of rows with text, images, sound and numbers, for scikit-learn's tools.

    Args:
        text: As for :class:`plait.PlaitClassifier`, like all others.
        recipe: As for :func:`plait.fit`.
        random_state: Seed of everything random, as scikit-learn takes it.
        validation_fraction: Share of the rows, above 0 and below 1, that trains nothing and chooses the epoch and the
            members of an ensemble; ``model_.report`` is of these rows.
        settings: Further settings, ``set=`` of :func:`plait.fit`: a mapping such as ``{"train.batch_size": 16}``.
        progress: As for :func:`plait.fit`; False: no bars.

    Attributes:
        model_: The fitted :class:`plait.Plait`, with its report.
        n_features_in_: Number of columns of ``X``.
        feature_names_in_: Their names, where ``X`` has names.

    Example:
        >>> import plait
        >>> rows = [{"size": float(i), "rooms": i % 5} for i in range(40)]
        >>> small = plait.PlaitRegressor(epochs=2, preset="single")
        >>> small.fit(rows, [3.0 * i for i in range(40)]).predict(rows[:3]).shape
        (3,)
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

    def fit(self, X: MatrixLike, y: ArrayLike) -> PlaitRegressor:
        """Fit the model.

        Args:
            X: A data frame, dictionary of columns or list of dictionaries; or an array [N, F] of numbers.
            y: The number of each row [N], finite.

        Raises:
            ValueError: As :func:`plait.fit`; or ``y`` holds what is no finite number.
        """
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        numbers = column_or_1d(check_array(y, ensure_2d=False, dtype="numeric", input_name="y"), warn=True)
        if is_pandas(X) or is_records(X):
            check_consistent_length(X, numbers)
        self.model_ = fit_estimator(self, X, [float(n) for n in numbers], task="regression", kind="numeric")
        return self

    def predict(self, X: MatrixLike) -> np.ndarray:
        """The number of each row [N].

        Raises:
            ValueError: ``X`` has other columns than in ``fit``, or as :meth:`plait.Plait.predict`.
        """
        check_is_fitted(self, "model_")
        table, _ = table_of(self, X, reset=False)
        return self.model_.predict(table, progress=self.progress)["prediction"].to_numpy(zero_copy_only=False)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.string = True
        return tags
