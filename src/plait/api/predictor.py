"""The user's object: a fitted model that predicts, is evaluated and explained, writes, embeds and saves itself.

Made by ``plait.fit`` and ``plait.load``. Each verb calls a function of a file of its own beside this one; all of them
take the parts of the model (``FittedParts``), which this class is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from plait.api import answer_frame, devices, embedding_verbs, writing_verbs
from plait.api.answering import answer_chunks, answer_rows
from plait.api.batch.source import open_rows, rows_of_a_part
from plait.api.believed import Believed
from plait.api.chunks import CHUNK_ROWS
from plait.api.folder_checks import check_report_place
from plait.api.hub import from_pretrained
from plait.api.model_folder import load_model_folder, save_model_folder
from plait.api.other_words import AnswersOtherWords, says_our_words
from plait.api.prediction import predict_probabilities
from plait.api.reading import open_table, warn_of_absent_columns, with_decimal
from plait.api.self_portrait import in_a_line, in_a_notebook
from plait.api.watching import WatchedBy, watched
from plait.data.memory import bounded, within_bound
from plait.data.table_like import TableLike
from plait.files import given_path
from plait.report.shown import ShownReport
from plait.settings import Assignments
from plait.training.fitted import FittedParts

if TYPE_CHECKING:
    import pandas

    from plait.api.leaderboard import Leaderboard
    from plait.explain.inputs.options import InputOptions


class Plait(AnswersOtherWords, FittedParts):
    """A fitted model, made by :func:`plait.fit` or :func:`plait.load`.

    Its attributes are those of :class:`plait.training.fitted.FittedParts`, such as model, labels, settings and report.
    """

    __repr__ = in_a_line
    _repr_html_ = in_a_notebook

    @classmethod
    def load(cls, folder: str | Path) -> Plait:
        """Read a model folder; see :func:`plait.load`."""
        made = cls(**vars(load_model_folder(given_path(folder, "folder"))))
        made.report = ShownReport(made.report, "evaluation", made.settings.judge.lang)
        return made

    from_pretrained = classmethod(from_pretrained)
    device = property(devices.device)
    to = devices.to

    @says_our_words
    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Write the model folder: JSON, YAML and safetensors only.

        Args:
            folder: Where the model goes.
            overwrite: Replace a model that is there, as a whole; until the new one is written the old one stands.

        Raises:
            ValueError: The folder holds a model or an unfinished run and ``overwrite`` is not set, or holds something
                else.
        """
        place = given_path(folder, "folder")
        save_model_folder(self, place, overwrite=overwrite)
        return place

    @watched
    @says_our_words
    @bounded
    def predict(
        self, table: TableLike, *, on_bad_row: str = "missing", progress: WatchedBy = None, format: str | None = None,
        encoding: str | None = None, allow_outside: bool = False,
        allow_remote: bool = False, decimal: str | None = None, set: Assignments = (),
        coverage: float | None = None, method: str | None = None, abstain_above: float | None = None,
        as_frame: bool = False, memory: str | int | None = None,
    ) -> Any:  # fmt: skip
        """Predict every row.

        Args:
            table: Anything ``plait.data.table.read_table`` takes, or one row: a dictionary of single values. The target
                is not needed; a column the model was trained with may be absent, its modality then counts as missing.
            on_bad_row: "missing" (an unreadable cell counts as missing), "skip" (the row gets no prediction)
                or "error".
            progress: Called with (done, total, what); None: bars where a person watches; False: none.
            format: Format of a file whose name does not tell it, and ``encoding`` of a text file that is not UTF-8.
            allow_outside: Let cells name files outside the table's folder (of a table in memory: the current folder).
            allow_remote: Fetch cells that are addresses of objects (s3://, gs://, hf://, https://).
            decimal: Decimal mark, "." or ",", of the columns of numbers, where it is not that of the training table.
            set: "data.max_pixels=N" for pictures larger than those of the training (it holds for later calls too).
            coverage: Probability, such as 0.9, with which a set of classes (or of all labels of the row) or an interval
                shall hold the truth; needs a model with calibration rows.
            method: How these are made: "lac" (smallest sets), "aps", "raps" or "class" (a promise for each class);
                of numbers "quantile" or "split". None: lac; quantile where calibration rows allow it.
            abstain_above: Answer no row whose estimated risk is above this: the probability that the answer is wrong,
                of label sets the expected share of wrong labels, of numbers the expected absolute error.
            as_frame: Return a pandas DataFrame, with the index of the frame that was given, in place of an Arrow table.
            memory: Most memory that this process may hold, such as "4GB"; None: four fifths of what is free.

        Returns:
            A table (``pyarrow.Table``), one row per input row, in order: ``row`` (number in the source), the id column
            if the model knows one, ``prediction``, for classes ``probability`` and ``probability_<class>``,
            ``uncertainty`` in [0, 1] where the fusion gives it (evidential), under ``coverage`` ``set`` or ``low`` and
            ``high``, under ``abstain_above`` ``risk`` and ``abstained`` (why a row is not answered), and ``problem``,
            which says what could not be read, else null. A model that writes text gives what :meth:`generate` returns.

        Raises:
            ValueError: The table cannot be read, or has bad rows under "error", or no column of the model.

        Warns:
            UserWarning: A column of the model is not in the table, or in single rows (dictionaries) under another
                spelling; it counts as missing in every row.
        """
        chunks = self.predict_chunks(
            table, on_bad_row=on_bad_row, allow_outside=allow_outside,
            allow_remote=allow_remote, progress=progress, format=format,
            encoding=encoding, decimal=decimal, set=set, coverage=coverage, method=method, abstain_above=abstain_above,
        )  # fmt: skip
        answers = pa.concat_tables(chunks)
        return answer_frame.as_given(answers, table) if as_frame else answers

    def predict_chunks(
        self, table: TableLike, *, chunk_rows: int = CHUNK_ROWS, on_bad_row: str = "missing",
        allow_outside: bool = False,
        allow_remote: bool = False,
        progress: WatchedBy = None, format: str | None = None, encoding: str | None = None,
        decimal: str | None = None, set: Assignments = (), coverage: float | None = None,
        method: str | None = None, abstain_above: float | None = None, memory: str | int | None = None,
    ) -> Iterator[pa.Table]:  # fmt: skip
        """Predict a large table piece by piece: what :meth:`predict` returns, some rows at a time.

        Cells are decoded and encoded, and answers kept, for ``chunk_rows`` rows at once; write each piece
        (:class:`plait.api.PredictionFile` does) before asking for the next.

        Args:
            table: As for :meth:`predict`, like the arguments from ``on_bad_row`` on; but there are no bars by default.
                A Parquet file and a large CSV file are read piece by piece (not under "error").
            chunk_rows: Rows at once, 1 or more.

        Raises:
            ValueError: As :meth:`predict`; bad rows under "error" are named once the whole table was read.
        """
        believed = Believed(coverage, method, abstain_above)
        believed.check(self)
        called, chosen = progress if callable(progress) else None, with_decimal(decimal, set)
        how: dict[str, Any] = {"on_bad_row": on_bad_row, "progress": called, "chunk_rows": chunk_rows}

        def answered() -> Iterator[pa.Table]:
            if on_bad_row == "error":  # bad rows are counted over the whole table
                opened = open_table(self, table, format, encoding, allow_outside, allow_remote, chosen)
                warn_of_absent_columns(self, opened, table)
                return answer_chunks(
                    self, opened, believed, on_bad_row=on_bad_row, progress=called, chunk_rows=chunk_rows
                )
            source = open_rows(
                self, table, format=format, encoding=encoding, allow_outside=allow_outside, allow_remote=allow_remote,
                set=chosen, part_rows=rows_of_a_part(chunk_rows), is_known_again=False,
            )  # fmt: skip
            return answer_rows(self, source, believed, **how)

        return within_bound(memory, answered)

    @watched
    @says_our_words
    def predict_proba(
        self, table: TableLike, *, on_bad_row: str = "missing", allow_outside: bool = False, allow_remote: bool = False,
        as_frame: bool = False, progress: WatchedBy = None,
    ) -> np.ndarray | pandas.DataFrame:  # fmt: skip
        """Probabilities [N, C] in row order, classes as in ``labels.classes``; NaN for rows left out.

        Args:
            table: As for :meth:`predict`, like the arguments from ``on_bad_row`` on.
            as_frame: Return a pandas DataFrame, a column for each class, in place of an array; with the index of the
                frame that was given.

        Raises:
            ValueError: The task has no classes, or as :meth:`predict`.
        """
        found = predict_probabilities(
            self, table, on_bad_row=on_bad_row, allow_outside=allow_outside, allow_remote=allow_remote,
            progress=progress,
        )  # fmt: skip
        if not as_frame:
            return found
        return answer_frame.as_given(pa.table(list(found.T), names=list(self.labels.classes)), table)

    @watched
    @says_our_words
    @bounded
    def evaluate(
        self, table: TableLike, *, rows: str | None = None, report: str | Path | None = None,
        on_bad_row: str = "error", annotations: str | None = None, format: str | None = None,
        encoding: str | None = None, allow_outside: bool = False,
        allow_remote: bool = False, decimal: str | None = None,
        set: Assignments = (), trust: bool = False, lang: str | None = None, memory: str | int | None = None,
        progress: WatchedBy = None,
    ) -> ShownReport:  # fmt: skip
        """Evaluate the model on rows with known targets.

        Args:
            table: The rows; a COCO folder is opened as in training.
            rows: Which split to evaluate: "test", "val", "train" or "all", by the model's split column, or,
                on the table the model was trained on, as in training. None: test if there is one, else val, else all.
            report: Path of an HTML report to write (its JSON lies beside it).
            on_bad_row: As for :meth:`predict`, like ``format`` to ``set``, ``memory`` and ``progress``.
            annotations: Folder of COCO annotations other than ``annotations``.
            trust: Also make the trust report ("evaluation", "trust"): each part, or why it does not apply.
            lang: Language of the HTML report, "en" or "zh"; None: that of the training.

        Returns:
            The report, with the numbers under "evaluation" and the sentence under "verdict": a dictionary that shows
            itself in a notebook and has ``frame()`` and ``plot()``, like that of :meth:`explain`.

        Raises:
            ValueError: No target column, no readable row, a report over a file of a model, or as :meth:`predict`.
        """
        from plait.api.describe import report_title
        from plait.api.evaluation import evaluation_report, open_evaluation

        check_report_place(report, lang)
        opened: dict[str, Any] = {
            "annotations": annotations, "format": format, "encoding": encoding, "allow_outside": allow_outside,
            "allow_remote": allow_remote,
            "set": with_decimal(decimal, set), "progress": progress,
        }  # fmt: skip
        given = open_evaluation(self, table, rows=rows, on_bad_row=on_bad_row, **opened)
        whole = partial(open_evaluation, self, table, rows="all", on_bad_row="missing", **opened) if trust else None
        result = evaluation_report(self, given, progress, trust=trust, open_whole=whole)
        if report is not None:
            from plait.report import write_report

            write_report(Path(report), result, title=report_title(self), lang=lang or self.settings.judge.lang)
        return result.in_language(lang)

    @watched
    @says_our_words
    @bounded
    def calibrate(
        self, table: TableLike, *, rows: str | None = None, on_bad_row: str = "error", format: str | None = None,
        encoding: str | None = None, allow_outside: bool = False,
        allow_remote: bool = False, decimal: str | None = None,
        set: Assignments = (), memory: str | int | None = None, progress: WatchedBy = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Calibrate the model, in place, on labelled rows that it has not seen; an earlier calibration is replaced.

        Args:
            table: The rows, as for :meth:`evaluate`, like the arguments from ``on_bad_row`` on.
            rows: "calibration", "test" or "all"; None: rows marked calibration where there are any, else all.

        Returns:
            ``rows``, ``groups``, ``tuning_rows``, ``scoring_rows``; ``calibrator`` or None; ``losses`` of all that were
            tried on rows that did not fit them; ``why``, in words; ``patterns`` with their rows; ``notes``.

        Raises:
            ValueError: The model has no probabilities or numbers, rows trained it, or as :meth:`evaluate`.
        """
        from plait.api.calibrating import calibrate_fitted

        opened: dict[str, Any] = {
            "format": format, "encoding": encoding, "allow_outside": allow_outside, "allow_remote": allow_remote,
            "progress": progress,
        }  # fmt: skip
        return calibrate_fitted(self, table, rows=rows, on_bad_row=on_bad_row, set=with_decimal(decimal, set), **opened)

    @watched
    @says_our_words
    @bounded
    def explain(
        self, table: TableLike, *, rows: str | int | Sequence[int] | None = None, report: str | Path | None = None,
        absence: str | None = None, draws: int = 8, metric: str | None = None,
        examples: int | Sequence[int] = 8, permutations: int = 20, emap_evaluations: int = 100_000,
        inputs: InputOptions | Mapping[str, Any] | None = None,
        on_bad_row: str = "error", annotations: str | None = None, format: str | None = None,
        encoding: str | None = None, allow_outside: bool = False,
        allow_remote: bool = False, decimal: str | None = None,
        set: Assignments = (), lang: str | None = None, memory: str | int | None = None,
        progress: WatchedBy = None,
    ) -> ShownReport:  # fmt: skip
        """Say how the model uses its modalities, and what inside a row counts, on rows with known targets.

        Args:
            table: The rows, as for :meth:`evaluate`.
            rows: Which split, as for :meth:`evaluate`. Or the rows to explain down to words, image regions, time spans
                and columns: how many of the first ones (20), or their row numbers ([3, 17]).
            report: Path of an HTML report to write (its JSON lies beside it).
            absence: What "without a modality" means: "missing" (the model knows that it is missing) or "marginal"
                (it gets those of ``draws`` other rows, answers averaged); None: "missing", for text "marginal".
            draws: Other rows to average over for "marginal".
            metric: Another primary metric of the task, such as "auroc".
            examples: How many telling rows to explain one by one, or which (row numbers of the table).
            permutations: Shufflings per modality for the perceptual score; 0 leaves it out.
            emap_evaluations: Rows to ask for EMAP, about; 0 leaves it out.
            inputs: ``plait.explain.inputs.options.InputOptions``, or its fields: how parts are hidden and attributed.
            on_bad_row: As for :meth:`evaluate`, like the arguments from here on.

        Returns:
            What :func:`plait.explain_modalities` returns, and the facts of the model, ``split``, ``bad_rows``,
            ``counts`` and ``notes``; for rows, ``inputs`` (``plait.explain.inputs.explained_rows.explain_inputs``).

        Raises:
            ValueError: More than six modalities, or as :meth:`evaluate`.
        """
        from plait.api.describe import why_title
        from plait.api.explanation import check_explainable, explanation_report, open_explained, split_and_rows
        from plait.explain.fitted_model import check_absence, check_metric
        from plait.explain.inputs.options import InputOptions

        split, wanted = split_and_rows(rows)
        options = inputs if isinstance(inputs, InputOptions) else InputOptions(**(inputs or {}))
        check_explainable(self, options, wanted)
        check_absence(absence)
        check_metric(self.task, metric)
        check_report_place(report, lang)
        given = open_explained(
            self, table, split, wanted, on_bad_row=on_bad_row, annotations=annotations, format=format,
            encoding=encoding, allow_outside=allow_outside,
            allow_remote=allow_remote, set=with_decimal(decimal, set), progress=progress,
        )  # fmt: skip
        result = explanation_report(
            self, given, wanted=wanted, options=options, absence=absence, draws=draws, metric=metric,
            examples=examples, permutations=permutations, emap_evaluations=emap_evaluations, progress=progress,
        )  # fmt: skip
        if report is not None:
            from plait.report import write_explanation

            write_explanation(Path(report), result, title=why_title(self), lang=lang or self.settings.judge.lang)
        return result.in_language(lang)

    @watched
    @bounded
    def suggest(
        self, pool: TableLike, n: int = 50, *, strategy: str = "mixed", labelled: TableLike | None = None,
        seed: int = 0,
        report: str | Path | None = None, on_bad_row: str = "missing", format: str | None = None,
        encoding: str | None = None, allow_outside: bool = False,
        allow_remote: bool = False, decimal: str | None = None,
        set: Assignments = (), memory: str | int | None = None, progress: WatchedBy = None,
        lang: str | None = None,
    ) -> pa.Table:  # fmt: skip
        """What to label next (active learning): the rows of a pool that would teach most, with reasons.

        Args:
            pool: Rows without a target, as for :meth:`predict`; those that have one are left out.
            n: How many.
            strategy: A name of ``plait.evaluation.active.STRATEGIES``; "mixed": unsure rows, of which no two are alike.
            labelled: Table of labelled rows, such as the training table: what shows the same is left out.
            seed: Of what is drawn; the same one suggests the same rows.
            report: Path of an HTML page to write (its JSON lies beside it), in ``lang`` ("en", "zh"; None: as trained).
            on_bad_row: As for :meth:`predict`, like the arguments from here on.

        Returns:
            Rows of the pool as they stand, with ``row`` (number in the pool), ``reason`` (in ``lang``), ``score`` and
            an empty target to fill in for ``plait.fit(TABLE, more=FILLED)``; none show the same, and groups take turns.

        Raises:
            ValueError: ``n`` is more than can be suggested, the strategy does not go with the model, or as ``predict``.
        """
        from plait.api.suggesting import suggest_rows

        return suggest_rows(
            self, pool, n, strategy, labelled=labelled, seed=seed, report=report, lang=lang, on_bad_row=on_bad_row,
            format=format, encoding=encoding, allow_outside=allow_outside,
            allow_remote=allow_remote, set=with_decimal(decimal, set),
            progress=progress,
        )  # fmt: skip

    @says_our_words
    def leaderboard(self) -> Leaderboard:
        """The models that were tried, the best on validation rows first; then what ended early or was left out.

        Of each what :func:`plait.api.leaderboard.leaderboard` lists; empty for one network of which nothing was left.
        It is a list that shows itself as a table; ``frame()`` is a pandas DataFrame.
        """
        from plait.api.leaderboard import leaderboard

        return leaderboard(self)

    generate = writing_verbs.generate
    score_answers = writing_verbs.score_answers
    dim = property(embedding_verbs.dim)
    plain_dim = property(embedding_verbs.plain_dim)
    embed = embedding_verbs.embed
    classify = embedding_verbs.classify
    described = embedding_verbs.described
