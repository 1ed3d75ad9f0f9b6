"""A fitted model: predict, judge, save. Made by ``plait.fit`` and ``plait.load``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from plait.api.describe import describe_model, report_title
from plait.api.embedding_output import Embeds
from plait.api.model_folder import save_model_folder
from plait.api.text_output import Writes, with_unparsed
from plait.data.bad_rows import apply_policy
from plait.data.schema import Schema
from plait.data.sources import is_folder, open_source
from plait.data.table import Table
from plait.evaluation import EVALUATORS, EvaluationInputs
from plait.evaluation.cleaned_texts import cleaned_texts
from plait.explain.fitted_model import explain_evaluated
from plait.explain.subject import check_modalities
from plait.inference.forward import predict_logits
from plait.inputs.dataset import RowBatches
from plait.inputs.prepare import Inputs, Prepared, prepare
from plait.model import PlaitModel
from plait.report import write_explanation, write_report
from plait.settings import DataSettings, RunSettings
from plait.tasks import TASKS, LabelState
from plait.training import natural_target
from plait.training.splitting import choose_rows, evaluation_units

Progress = Callable[[int, int, str], None]
OWN_COLUMNS = {"row", "prediction", "probability", "uncertainty", "problem"}


class Plait(Embeds, Writes):
    """A fitted model: the network, what reads its inputs, and what turns its outputs into answers.

    Made by :func:`plait.fit` or :func:`plait.load`.

    Attributes:
        model: The fused network.
        baselines: One network per modality alone, for comparison; may be empty.
        inputs: Processors and frozen encoders.
        labels: Class names, or the mean and spread of a number.
        schema: Columns of the training table.
        settings: The resolved run.
        report: The report of the run, the same numbers as in report.json.
    """

    def __init__(
        self,
        model: PlaitModel,
        baselines: dict[str, PlaitModel],
        inputs: Inputs,
        labels: LabelState,
        schema: Schema,
        settings: RunSettings,
        report: dict[str, Any] | None = None,
    ) -> None:
        self.model, self.baselines, self.inputs = model, baselines, inputs
        self.labels, self.schema, self.settings = labels, schema, settings
        self.report = report or {}
        self.task = TASKS.get(model.config.task)

    def __repr__(self) -> str:
        names = ", ".join(self.model.config.modality_names)
        what = f"{self.task.name} of {self.schema.target!r} from {names}"
        if not self.task.needs_target:
            what = f"{self.task.name} among {names}"
        return f"Plait({what}; fusion {self.settings.fusion.name})"

    def predict(
        self,
        table: Any,
        *,
        on_bad_row: str = "missing",
        progress: Progress | None = None,
        format: str | None = None,
        encoding: str | None = None,
    ) -> pa.Table:
        """Predict every row.

        Args:
            table: Anything ``plait.data.table.read_table`` takes. The target is not needed; a column the
                model was trained with may be absent, its modality then counts as missing.
            on_bad_row: "missing" (an unreadable cell counts as missing), "skip" (the row gets no prediction)
                or "error".
            progress: Called with (done, total, what).
            format: Format of a file whose name does not tell it.
            encoding: Encoding of a text file that is not UTF-8.

        Returns:
            One row per input row, in order: ``row`` (number in the source), the id column if the model knows
            one, ``prediction``, for classes ``probability`` and ``probability_<class>``, ``uncertainty`` in [0, 1]
            where the fusion gives it (evidential), and ``problem``, which says what could not be read, else null.
            A model that writes text gives what :meth:`generate` returns.

        Raises:
            ValueError: The table cannot be read, or has bad rows under "error", or none of the model's
                columns.
        """
        if self.task.output_kind == "text":
            return self.generate(
                table, on_bad_row=on_bad_row, progress=progress, format=format, encoding=encoding,
                beams=self.settings.language.beams or 1,
            )  # fmt: skip
        opened = self._open(table, format, encoding)
        prepared, keep = self._prepare(opened, on_bad_row, progress)
        logits = self._logits(prepared, keep, progress)
        return self._prediction_table(opened, prepared, keep, logits)

    def predict_proba(self, table: Any, *, on_bad_row: str = "missing", progress: Progress | None = None) -> np.ndarray:
        """Probabilities [N, C] in row order, classes as in ``labels.classes``; NaN for rows left out.

        Raises:
            ValueError: The task has no classes, or as :meth:`predict`.
        """
        if not self.labels.classes:
            kinds = {"number": "predicts a number", "text": "writes text"}
            what = kinds.get(self.task.output_kind, "gives vectors and cosines")
            raise ValueError(f"this model {what}, which has no probabilities; use predict()")
        opened = self._open(table, None, None)
        prepared, keep = self._prepare(opened, on_bad_row, progress)
        proba = np.full((len(opened), len(self.labels.classes)), np.nan)
        proba[keep] = self.task.activate(self._logits(prepared, keep, progress), self.labels)
        return proba

    def evaluate(
        self,
        table: Any,
        *,
        rows: str | None = None,
        report: str | Path | None = None,
        on_bad_row: str = "error",
        annotations: str | None = None,
        format: str | None = None,
        encoding: str | None = None,
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """Judge the model on rows with known targets.

        Args:
            table: The rows; a COCO folder is opened as in training.
            rows: Which split to judge: "test", "val", "train" or "all", told by the model's split column, or, on the
                table the model was trained on, as in training. None: test if there is one, else val, else all.
            report: Path of an HTML report to write (its JSON lies beside it).
            on_bad_row: "error", "missing" or "skip".
            annotations: Folder of COCO annotations other than ``annotations``.
            format: Format of a file whose name does not tell it.
            encoding: Encoding of a text file that is not UTF-8.
            progress: Called with (done, total, what).

        Returns:
            The report, with the numbers under "evaluation" and the sentence under "verdict".

        Raises:
            ValueError: No target column, no readable row, or as :meth:`predict`.
        """
        given = self._inputs_on(table, rows, on_bad_row, annotations, format, encoding, progress)
        result = self.report_of(given, given.prepared, progress)
        if report is not None:
            write_report(Path(report), result, title=report_title(self))
        return result

    def explain(
        self,
        table: Any,
        *,
        rows: str | None = None,
        report: str | Path | None = None,
        absence: str = "missing",
        draws: int = 8,
        metric: str | None = None,
        examples: int | Sequence[int] = 8,
        permutations: int = 20,
        emap_evaluations: int = 100_000,
        on_bad_row: str = "error",
        annotations: str | None = None,
        format: str | None = None,
        encoding: str | None = None,
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """Say how the model uses its modalities, on rows with known targets.

        Args:
            table: The rows, as for :meth:`evaluate`.
            rows: Which split, as for :meth:`evaluate`.
            report: Path of an HTML report to write (its JSON lies beside it).
            absence: What "without a modality" means: "missing" (the model is told that it is missing) or "marginal"
                (it gets the values of other rows, the answers averaged over ``draws`` of them).
            draws: Other rows to average over for "marginal".
            metric: Another primary metric of the task, such as "auroc".
            examples: How many telling rows to explain one by one, or which (row numbers of the table).
            permutations: Shufflings per modality for the perceptual score; 0 leaves it out.
            emap_evaluations: Rows to ask for EMAP, about; 0 leaves it out.
            on_bad_row: "error", "missing" or "skip".
            annotations: Folder of COCO annotations other than ``annotations``.
            format: Format of a file whose name does not tell it.
            encoding: Encoding of a text file that is not UTF-8.
            progress: Called with (done, total, what).

        Returns:
            What :func:`plait.explain_modalities` returns, and the facts of the model, ``split``, ``bad_rows``,
            ``counts`` and ``notes``.

        Raises:
            ValueError: More than six modalities, or as :meth:`evaluate`.
        """
        if self.task.output_kind == "text":
            raise ValueError(f"explanations read labels and numbers; this model writes text ({self.task.name})")
        if not self.task.needs_target:
            raise ValueError(
                f"explain says what each modality adds to an answer; {self.task.name} has no answer that its "
                "modalities give together, each is searched by the other: type plait evaluate for both directions"
            )
        check_modalities(self.model.config.modality_names)
        given = self._inputs_on(table, rows, on_bad_row, annotations, format, encoding, progress)
        found = explain_evaluated(
            given, absence=absence, draws=draws, metric=metric, examples=examples, permutations=permutations,
            emap_evaluations=emap_evaluations, seed=self.settings.train.seed, progress=progress,
        )  # fmt: skip
        facts = {k: v for k, v in describe_model(self).items() if k not in ("metric", "schema")}
        result = {**facts, **found, **_left_out(given)}
        if report is not None:
            write_explanation(Path(report), result, title=f"Plait: what {self.schema.target} rests on")
        return result

    def _inputs_on(
        self, table: Any, rows: str | None, on_bad_row: str, annotations: str | None, format: str | None,
        encoding: str | None, progress: Progress | None,
    ) -> EvaluationInputs:  # fmt: skip
        """Open rows with known targets and prepare them for judging."""
        if format is None and self.settings.data.format in ("coco", "vqa") and is_folder(table):
            format = self.settings.data.format
        data = self._data(table, format, encoding)
        opened = open_source(table, data, task=self.task.name, annotations=annotations, seed=self.settings.train.seed)
        chosen, split, notes = choose_rows(
            opened.table, rows, schema=self.schema, task=self.task, seed=self.settings.train.seed,
            facts=self.report.get("facts", {}),
        )  # fmt: skip
        target = self.schema.target
        if self.task.needs_target and target not in chosen.column_names:
            raise ValueError(
                f"{chosen.source} has no column {target!r}, which holds the answers this model is judged by; "
                "use predict for rows without answers"
            )
        prepared, keep = self._prepare(chosen, on_bad_row, progress)
        return self.evaluation_inputs(prepared, keep, split, notes)

    def evaluation_inputs(
        self, prepared: Prepared, positions: np.ndarray, split: str, notes: Sequence[str] = ()
    ) -> EvaluationInputs:
        """Collect what judging needs; rows whose target is unreadable or of an unknown class are reported."""
        rows = prepared.rows
        needed = self.schema.target if self.task.needs_target else None
        cells = rows.table.column(needed) if needed is not None else [None] * len(rows)
        kept, values = [], []
        for position in positions:
            value = self.task.parse(cells[int(position)])
            if value is None:
                rows.report(int(position), needed, f"no {self.task.expects} but {cells[int(position)]!r}")
            elif self.task.name == "classification" and value not in self.labels.classes:
                rows.report(int(position), needed, f"class {value!r} was not seen in training")
            else:
                kept.append(int(position))
                values.append(value)
        if not kept:
            raise ValueError(f"no row of {rows.table.source} has a target this model can be judged by")
        chosen = np.array(kept, dtype=np.int64)
        encoded = self.task.encode(values, self.labels)
        unit_N = evaluation_units(prepared, self.schema)[chosen]
        group = unit_N if len(np.unique(unit_N)) < len(unit_N) else None
        sliced = [c.name for c in self.schema.columns if c.kind == "categorical" and c.role == "input"]
        sliced += [*(["answer_type"] if self.task.name in ("vqa", "vqa_open") else []), *self.settings.judge.by]
        absent = [c for c in self.settings.judge.by if c not in rows.table.column_names]
        notes = [*notes, *(f"judge.by: {rows.table.source} has no column {c!r}" for c in absent)]
        return EvaluationInputs(
            self.model, self.baselines, self.task, self.labels, prepared, chosen,
            natural_target(self.task, encoded, self.labels), values, group,
            [c for c in dict.fromkeys(sliced) if c in rows.table.column_names], split, list(notes),
            self.settings.judge, self.settings.language.beams or 1,
        )  # fmt: skip

    def report_of(
        self, given: EvaluationInputs, prepared: Prepared, progress: Progress | None = None
    ) -> dict[str, Any]:
        """The report of one judging, with the facts of this model around it."""
        judged = EVALUATORS.get(self.task.output_kind)(given, progress=progress, seed=self.settings.train.seed)
        evaluation = {**judged.evaluation, **_left_out(given)}
        if cleaned := cleaned_texts(given, self.inputs):
            evaluation["cleaned"] = cleaned
        base = {k: v for k, v in self.report.items() if k not in ("evaluation", "verdict")}
        return {**describe_model(self), **base, "verdict": judged.verdict, "evaluation": evaluation}

    def save(self, folder: str | Path) -> Path:
        """Write the model folder: JSON, YAML and safetensors only.

        Raises:
            ValueError: The folder exists and holds something else than a Plait model.
        """
        save_model_folder(self, Path(folder))
        return Path(folder)

    def _open(self, table: Any, format: str | None, encoding: str | None) -> Table:
        opened = open_source(table, self._data(table, format, encoding), task=self.task.name).table
        wanted = [c for m in self.inputs.modalities for c in m.columns]
        if not set(wanted) & set(opened.column_names):
            raise ValueError(
                f"{opened.source} has none of the columns this model reads ({', '.join(wanted)}); it has "
                f"{', '.join(opened.column_names)}"
            )
        return opened

    def _data(self, table: Any, format: str | None, encoding: str | None) -> DataSettings:
        """How to read a table; a file without a header line has the columns of the training table."""
        delimited = isinstance(table, str | Path) and str(table).lower().removesuffix(".gz").endswith((".csv", ".tsv"))
        columns = self.settings.data.columns if delimited or format in ("csv", "tsv") else ()
        return DataSettings(format=format, encoding=encoding, columns=columns)

    def _prepare(self, table: Table, policy: str, progress: Progress | None) -> tuple[Prepared, np.ndarray]:
        prepared = prepare(table, self.inputs, progress=progress)
        return prepared, apply_policy(prepared.rows, policy)

    def _logits(self, prepared: Prepared, keep: np.ndarray, progress: Progress | None) -> np.ndarray:
        batches = RowBatches(prepared.sources, prepared.rows.index_NM[keep])
        return predict_logits(self.model, batches, progress=progress)

    def _prediction_table(self, table: Table, prepared: Prepared, keep: np.ndarray, logits: np.ndarray) -> pa.Table:
        n = len(table)
        outputs = self.task.activate(logits, self.labels)
        place = {int(p): i for i, p in enumerate(keep)}
        decoded = self.task.decode(outputs, self.labels)
        columns: dict[str, Any] = {"row": [table.row_number(i) for i in range(n)]}
        if self.schema.id and self.schema.id in table.column_names:
            ours = self.schema.id in OWN_COLUMNS or self.schema.id.startswith("probability_")
            columns[f"id_{self.schema.id}" if ours else self.schema.id] = table.arrow.column(self.schema.id)
        columns["prediction"] = [decoded[place[i]] if i in place else None for i in range(n)]
        if self.labels.classes:
            filled = np.full((n, len(self.labels.classes)), np.nan)
            filled[keep] = outputs
            nothing = np.isnan(filled[:, 0])
            if self.task.name != "multilabel":
                columns["probability"] = pa.array(filled.max(1), mask=nothing)
            for c, name in enumerate(self.labels.classes):
                columns[f"probability_{name}"] = pa.array(filled[:, c], mask=nothing)
        doubt_B = self.model.fusion.uncertainty(torch.from_numpy(logits).double())
        if doubt_B is not None:
            doubt_N = np.full(n, np.nan)
            doubt_N[keep] = doubt_B.numpy()
            columns["uncertainty"] = pa.array(doubt_N, mask=np.isnan(doubt_N))
        problems: dict[int, list[str]] = {}
        for bad in prepared.rows.bad:
            problems.setdefault(bad.row, []).append(f"{bad.column}: {bad.reason}" if bad.column else bad.reason)
        empty = ~prepared.rows.present_NM.any(1)
        for i in np.flatnonzero(empty):
            problems.setdefault(int(i), []).append("nothing to read in this row")
        if not self.task.needs_target:
            for i in np.flatnonzero(prepared.rows.present_NM.sum(1) == 1):
                problems.setdefault(int(i), []).append("one side is missing")
        columns["problem"] = pa.array(
            ["; ".join(problems[i]) if i in problems else None for i in range(n)], pa.string()
        )
        made = pa.table(columns)
        return with_unparsed(made, table)


def _left_out(given: EvaluationInputs) -> dict[str, Any]:
    """Cells and rows that could not be used, and what was counted on the way."""
    rows = given.prepared.rows
    bad = [{"row": rows.table.row_number(b.row), "column": b.column, "reason": b.reason} for b in rows.bad]
    bad += [{"row": b.row, "column": b.column, "reason": b.reason} for b in rows.table.bad_rows]
    return {"bad_rows": bad, "counts": dict(rows.notes)}
