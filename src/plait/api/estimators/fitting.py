"""What both estimators share: their parameters as arguments of ``plait.fit``, and the call of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state

from plait.api.estimators.rows import SPLIT, TARGET, choosing_rows, names_of_array, table_of
from plait.api.fit import fit
from plait.api.predictor import Plait
from plait.data.column_kind import Hints
from plait.data.guess import guess_column
from plait.data.table import Table
from plait.files import given_path
from plait.settings import assignments_of

KINDS = ("text", "image", "audio", "image_set", "vector", "numeric", "categorical", "date", "ignore")
PASSED = (
    *KINDS, "recipe", "preset", "time_limit", "fusion", "epochs", "on_bad_row", "allow_outside", "allow_remote",
    "progress",
)  # fmt: skip


class SavesModel:
    """An estimator that writes its fitted model as a folder."""

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Write the fitted model as a model folder, which ``plait.load`` and the commands read; returns the folder.

        It is read as a :class:`plait.Plait`, without the parameters of the estimator.

        Args:
            folder: Where the model goes.
            overwrite: Replace a model that is there, as a whole.

        Raises:
            sklearn.exceptions.NotFittedError: ``fit`` has not been called; a ``ValueError`` too.
            TypeError: ``folder`` is no path.
            ValueError: As :meth:`plait.Plait.save`.
        """
        folder = given_path(folder, "folder")
        model: Plait | None = getattr(self, "model_", None)
        if model is None:
            name = type(self).__name__
            raise NotFittedError(
                f"this {name} holds no model yet; type {name}(...).fit(X, y).save({str(folder)!r}), and after a search "
                f"search.best_estimator_.save({str(folder)!r})"
            )
        return model.save(folder, overwrite=overwrite)


def fit_estimator(
    estimator: Any, X: Any, target: list[Any], *, task: str, kind: str, strata: np.ndarray | None = None
) -> Plait:
    """Fit a model to the rows of ``X`` with ``target`` beside them.

    Args:
        estimator: Its parameters say how.
        X: As :func:`plait.api.estimators.rows.table_of` takes it.
        target: One value a row.
        task: Of ``plait.fit``.
        kind: How the target is read: "numeric" or "categorical".
        strata: Class number of each row, for rows that choose.

    Raises:
        ValueError: As ``plait.fit``.
    """
    table, is_array = table_of(estimator, X, reset=True)
    for name in (TARGET, SPLIT):
        if name in table.column_names:
            raise ValueError(f"X has a column {name!r}, a name that fit() needs for itself; call it otherwise")
    draw = check_random_state(estimator.random_state)
    seed = int(draw.randint(2**31 - 1)) if not isinstance(estimator.random_state, int) else estimator.random_state
    split = choosing_rows(strata, len(table), estimator.validation_fraction, seed)
    given = {name: getattr(estimator, name) for name in PASSED}
    if is_array:
        given["numeric"] = names_of_array(len(table.column_names))
    given["numeric"] = [*_listed(given["numeric"]), *_counting(table, given)]
    given[kind] = [*_listed(given[kind]), TARGET]
    table = table.with_column(TARGET, target).with_column(SPLIT, split)
    settings = ["data.test=false", *assignments_of(estimator.settings or ())]
    return fit(table, TARGET, task=task, split=SPLIT, seed=seed, set=settings, **given)


def _counting(table: Table, given: dict[str, Any]) -> list[str]:
    """Columns of whole numbers that ``plait.fit`` would leave out as row numbers: whoever gives X means its numbers."""
    named = {name for kind in KINDS for name in _listed(given[kind])}
    return [
        name for name in table.column_names
        if name not in named and pa.types.is_integer(table.arrow.schema.field(name).type)
        and guess_column(table, name, Hints())[0] is None
    ]  # fmt: skip


def _listed(columns: Any) -> list[str]:
    return [columns] if isinstance(columns, str) else list(columns)
