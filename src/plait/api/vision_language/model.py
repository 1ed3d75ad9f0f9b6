"""The user's object of a ready vision-language model: it writes, chooses by scores, is judged, and learns by LoRA.

Made by :func:`plait.vlm`, or by ``plait.load`` of its folder or of the checkpoint itself. Its verbs are those of
:class:`plait.Plait` of the same names; nothing is trained but by :meth:`VisionLanguageModel.fit`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa

from plait.api.clock import run_began
from plait.api.folder_checks import check_report_place
from plait.api.vision_language.answers import predicted, scored, written
from plait.api.vision_language.asking import QUESTION, Asking
from plait.api.vision_language.folder import Chosen, check_free, read_folder, title_of, write_folder
from plait.api.vision_language.judging import answer_column, evaluation_report, with_classes_of
from plait.api.vision_language.rows import ask_rows, open_asked
from plait.api.vision_language.tuning_settings import tuning_settings
from plait.api.watching import WatchedBy, watched
from plait.data.modality import Modality
from plait.data.table_like import TableLike
from plait.files import given_path
from plait.heads.language import DecodeOptions
from plait.inference.vision_language import VisionLanguageNetwork
from plait.report import write_report
from plait.report.shown import ShownReport
from plait.settings import Assignments
from plait.settings.durations import seconds_of
from plait.tasks import TASKS, Task
from plait.weights.vision_language import checkpoint_fingerprint

CHUNK_ROWS = 256


def vlm(
    reference: str, *, image: str = "image", question: str | None = None, target: str | None = None,
    prompt: str | None = None, classes: Sequence[str] = (), score: str = "mean", max_tokens: int = 64,
    dtype: str = "auto", output: str | Path | None = None, overwrite: bool = False,
) -> VisionLanguageModel:  # fmt: skip
    """Use a ready vision-language model, without training: to write captions and answers, or to classify.

    Args:
        reference: ``hf:ID`` of a model in the hub's cache, or ``hf:`` and a folder: one of transformers'
            AutoModelForImageTextToText, with its processor.
        image: Column of pictures, in the tables it will read.
        question: Column of questions; None: "question", where a table has it.
        target: Column of true answers; None: "answer", "caption" or, with classes, "label".
        prompt: What is asked of every picture, ``{question}`` standing for the row's question, such as
            "answer en {question}"; None: the question as it stands, or to describe the picture, or which class it is.
        classes: The only answers; each is scored by the model, and the best is the prediction.
        score: Of a class, the "mean" log-probability of its tokens, or their "sum".
        max_tokens: Longest text, in tokens.
        dtype: Number type of the weights in memory: "auto" (as stored), "float32", "bfloat16" or "float16".
        output: Folder to save it in; the weights stay where they are.
        overwrite: Replace a model that is there.

    Returns:
        The model.

    Raises:
        ValueError: The checkpoint is not here, or is no such model; a value cannot be; or the folder is taken.
    """
    if isinstance(classes, str):
        raise ValueError(f"classes is the text {classes!r}; expected a list, such as ['cat', 'dog']")
    asking = Asking(image, question, target, prompt, tuple(classes), score, max_tokens)
    if output is not None:
        check_free(given_path(output, "output"), overwrite=overwrite)
    made = VisionLanguageModel(Chosen(reference, dtype, asking))
    if output is not None:
        made.save(output, overwrite=overwrite)
    return made


class VisionLanguageModel:
    """A ready vision-language model and how it is asked, made by :func:`plait.vlm` or :func:`plait.load`.

    Args:
        chosen: The checkpoint and the asking.

    Raises:
        ValueError: The checkpoint is not here, or is no vision-language model.
    """

    def __init__(self, chosen: Chosen) -> None:
        stored = None if chosen.tuning is None else chosen.tuning.stored
        self.network = VisionLanguageNetwork(chosen.reference, chosen.dtype, stored)
        self.chosen = chosen
        self.report: ShownReport | None = None
        for name in self.asking.classes:
            self.network.prompter.answer_ids(name)

    def __repr__(self) -> str:
        does = f"one of {len(self.asking.classes)} classes" if self.asking.classes else "text"
        tuned = "" if self.chosen.tuning is None else ", tuned with LoRA"
        return f"VisionLanguageModel: {self.chosen.reference}{tuned}, answers {does}"

    @classmethod
    def load(cls, folder: str | Path) -> VisionLanguageModel:
        """Read a folder; see :func:`plait.load`."""
        return cls(read_folder(folder))

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Write ``vlm.json``: the checkpoint's name and fingerprint and what is asked, and LoRA weights where there are
        some; the weights of the checkpoint stay where they are.

        Raises:
            ValueError: The folder holds a model and ``overwrite`` is not set, or something else.
        """
        place = given_path(folder, "folder")
        self.chosen = replace(self.chosen, fingerprint=self.fingerprint)
        write_folder(self.chosen, place, overwrite=overwrite)
        return place

    @property
    def asking(self) -> Asking:
        """What rows ask."""
        return self.chosen.asking

    @property
    def task(self) -> Task:
        """Classification with classes, else open answers or, where its prompt has no place for questions, captions."""
        return TASKS.get(self.asking.task_of([m.name for m in self.modalities]))

    @property
    def fingerprint(self) -> str:
        """sha256 over the files of the checkpoint."""
        return self.chosen.fingerprint or checkpoint_fingerprint(self.chosen.reference)

    @property
    def modalities(self) -> list[Modality]:
        """What it reads: pictures, and questions where its prompt has a place for them."""
        question = self.asking.question_of([self.asking.image, QUESTION])
        asked = [] if question is None else [Modality(question, "text", (question,))]
        return [Modality(self.asking.image, "image", (self.asking.image,)), *asked]

    @property
    def lang(self) -> str:
        """Language of its pages, where none is asked for."""
        return "en"

    @property
    def beams(self) -> int:
        """Beams that it is judged with."""
        return 1

    def check_asks(self) -> None:
        """Refuse a model that asks the same of every picture.

        Raises:
            ValueError: Its prompt has no place for a question.
        """
        if len(self.modalities) == 1:
            raise ValueError(
                f"this model asks {self.asking.prompt!r} of every picture; make one without prompt=, or with "
                "{question} in it: " + f"plait.vlm({self.chosen.reference!r}, output=MODEL)"
            )

    @property
    def device(self) -> Any:
        """Where the network works; at first on a GPU if there is one."""
        return self.network.device

    def to(self, device: str) -> VisionLanguageModel:
        """Move the network to a ``device`` such as "cuda", in place."""
        self.network.model.to(device)
        return self

    @watched
    def fit(
        self, table: TableLike, *, target: str | None = None, task: str | None = None, split: str | None = None,
        group: str | None = None, epochs: int | None = None, seed: int | None = None,
        time_limit: str | float | None = None, set: Assignments = (), output: str | Path | None = None,
        resume: bool = False, overwrite: bool = False, on_bad_row: str = "error", annotations: str | None = None,
        format: str | None = None, encoding: str | None = None, allow_outside: bool = False, allow_remote: bool = False,
        lang: str | None = None, progress: WatchedBy = None,
    ) -> VisionLanguageModel:  # fmt: skip
        """Learn from a table with LoRA: small additions to the checkpoint, which itself stays as it is.

        Rows are split as by :func:`plait.fit`. The loss is that of the answers alone, validation rows choose the epoch
        and whether what was learned is kept, and test rows judge the model beside what it was before.

        Args:
            table: Rows with pictures, questions where it is asked any, and answers; or a COCO or VQA folder.
            target: Column of true answers (one, or a list of them); None: that of :func:`plait.vlm`.
            task: "classification": the classes are those of the column, where :func:`plait.vlm` was given none.
            split: Column that says train, val or test; None looks for one, else rows are split at random.
            group: Column whose equal values stay on one side of the split.
            epochs: Passes over the training rows; None: 3, more where those are fewer than 100 steps.
            seed: Seed of everything random.
            time_limit: How long all of it may take: "10m", "2h" or seconds.
            set: Other settings: ``language.lora_rank`` (8), ``encoders.tuning=lora`` (what sees the picture learns
                too), ``train.learning_rate`` (0.0002), ``train.batch_size`` (8), ``train.accumulate``.
            output: Folder to save the model and its report in.
            resume: Go on with a run that was stopped.
            overwrite: Replace a model that is there.
            on_bad_row: A row that cannot be read: "error", "missing" or "skip" (the row is left out).
            annotations: Folder of COCO annotations other than ``annotations``.
            format: As for :func:`plait.fit`, like ``encoding`` to ``allow_remote``.
            lang: Language of the page, "en" or "zh".

        Returns:
            This model, with what it learned and its ``report``.

        Raises:
            ValueError: It has been tuned already, or the table, a setting or the folder does not allow it.
            ImportError: Without the extra ``peft``.
        """
        from plait.api.vision_language.tuning import tune

        if self.chosen.tuning is not None:
            raise ValueError(
                "this model has been tuned already; fit the checkpoint itself: plait.vlm"
                f"({self.chosen.reference!r}), with all rows that it shall learn from"
            )
        if task not in (None, "classification"):
            raise ValueError(f"task is {task!r}; expected 'classification', or nothing: then the model writes")
        check_report_place(None, lang)
        given = {
            "data.split": split, "data.group": group, "train.epochs": epochs, "train.seed": seed,
            "time_limit": None if time_limit is None else seconds_of(time_limit, "time_limit"),
        }  # fmt: skip
        settings = tuning_settings(given, set)
        place = None if output is None else given_path(output, "output")
        if place is not None:
            check_free(place, overwrite=overwrite, resume=resume)
        opened = open_asked(
            self.asking, table, format=format, encoding=encoding, allow_outside=allow_outside,
            allow_remote=allow_remote, annotations=annotations,
        )  # fmt: skip
        asking = self.asking
        if task is not None and not asking.classes:
            asking = with_classes_of(asking, opened, target)
        for name in asking.classes:
            self.network.prompter.answer_ids(name)
        chosen = replace(self.chosen, asking=asking, fingerprint=self.fingerprint)
        called = progress if callable(progress) else None
        learned = tune(
            self.network, chosen, opened, settings, target=answer_column(asking, opened, target),
            on_bad_row=on_bad_row, output=place, resume=resume, overwrite=overwrite, lang=lang or self.lang,
            started=run_began(), progress=called,
        )  # fmt: skip
        self.chosen, self.report = learned.chosen, learned.report
        return self

    @watched
    def generate(
        self, table: TableLike, *, beams: int = 1, length_penalty: float = 1.0, max_new_tokens: int | None = None,
        temperature: float | None = None, top_p: float | None = None, seed: int | None = None,
        answers: Sequence[str] | None = None, tokens: bool = False, on_bad_row: str = "missing",
        format: str | None = None, encoding: str | None = None, allow_outside: bool = False, allow_remote: bool = False,
        progress: WatchedBy = None,
    ) -> pa.Table:  # fmt: skip
        """Write a text for every row; arguments and result as :meth:`plait.Plait.generate`.

        A row without a readable picture (or question, where the table has a column of them) gets no text.

        Raises:
            ValueError: The table cannot be read or lacks a column, an option cannot be, or a row is bad under "error".
        """
        if answers is not None and (isinstance(answers, str) or not len(answers)):
            raise ValueError("answers must be a list of at least one text, such as ['yes', 'no']")
        most = self.asking.max_tokens if max_new_tokens is None else max_new_tokens
        options = DecodeOptions(beams, length_penalty, most, temperature, top_p, seed)
        opened = open_asked(
            self.asking, table, format=format, encoding=encoding, allow_outside=allow_outside, allow_remote=allow_remote
        )
        asked = ask_rows(self.asking, opened, on_bad_row, self.network.prompter)
        return written(self.network, asked, options, answers, tokens, progress)

    @watched
    def score_answers(
        self, table: TableLike, answers: Sequence[str], *, on_bad_row: str = "missing", allow_outside: bool = False,
        allow_remote: bool = False,
        progress: WatchedBy = None,
    ) -> pa.Table:  # fmt: skip
        """Natural log-probability of each given answer in each row: ``prediction``, ``answers``, ``log_probabilities``.

        Each is the mean over the answer's tokens, or their sum, as ``score`` of :func:`plait.vlm` says; the end of an
        answer is not counted. Other arguments as for :meth:`plait.Plait.predict`.
        """
        if isinstance(answers, str) or not len(answers):
            raise ValueError("answers must be a list of at least one text, such as ['yes', 'no']")
        opened = open_asked(self.asking, table, allow_outside=allow_outside, allow_remote=allow_remote)
        asked = ask_rows(self.asking, opened, on_bad_row, self.network.prompter)
        return scored(self.network, asked, list(answers), progress)

    @watched
    def predict(
        self, table: TableLike, *, on_bad_row: str = "missing", progress: WatchedBy = None, format: str | None = None,
        encoding: str | None = None, allow_outside: bool = False, allow_remote: bool = False,
    ) -> pa.Table:  # fmt: skip
        """Predict every row: with classes ``prediction``, ``probability`` and ``probability_<class>``, the softmax of
        the scores; else what :meth:`generate` returns.
        """
        return pa.concat_tables(
            self.predict_chunks(
                table, on_bad_row=on_bad_row, progress=progress, format=format, encoding=encoding,
                allow_outside=allow_outside, allow_remote=allow_remote,
            )
        )  # fmt: skip

    def predict_chunks(
        self, table: TableLike, *, chunk_rows: int = CHUNK_ROWS, on_bad_row: str = "missing",
        progress: WatchedBy = None,
        format: str | None = None, encoding: str | None = None, allow_outside: bool = False, allow_remote: bool = False,
        coverage: float | None = None, abstain_above: float | None = None, decimal: str | None = None,
        set: Assignments = (),
    ) -> Iterator[pa.Table]:  # fmt: skip
        """Predict a table piece by piece: what :meth:`predict` returns, ``chunk_rows`` rows at a time."""
        _refuse(coverage=coverage, abstain_above=abstain_above, decimal=decimal, set=set)
        opened = open_asked(
            self.asking, table, format=format, encoding=encoding, allow_outside=allow_outside, allow_remote=allow_remote
        )
        called = progress if callable(progress) else None
        return predicted(self.network, self.asking, opened, on_bad_row, chunk_rows, called)

    @watched
    def evaluate(
        self, table: TableLike, *, target: str | None = None, report: str | Path | None = None,
        on_bad_row: str = "error",
        annotations: str | None = None, format: str | None = None, encoding: str | None = None,
        allow_outside: bool = False,
        allow_remote: bool = False, beams: int = 1, seed: int = 0, rows: str | None = None, trust: bool = False,
        decimal: str | None = None, set: Assignments = (), lang: str | None = None, progress: WatchedBy = None,
    ) -> ShownReport:  # fmt: skip
        """Evaluate the model on rows with known answers, and prove whether it looks at the picture.

        The rows are asked four times: as they are, with another row's picture, with a grey picture, and without their
        question (where there is one); of a tuned model a fifth time, as it was before.

        Args:
            table: The rows, as for :meth:`predict`, like ``on_bad_row`` to ``allow_remote``; or a COCO or VQA folder.
            target: Column of true answers (one, or a list of them); None: that of :func:`plait.vlm`.
            report: Path of an HTML report to write (its JSON lies beside it).
            annotations: Folder of COCO annotations other than ``annotations``.
            beams: Beams to write with.
            seed: Of resamples, and of which row gets which picture.
            rows: "test", "val", "train" or "all", where the model was tuned; None: test if there is one, else val, else
                all. Where nothing was trained every row is judged.
            trust: As ``decimal`` and ``set`` an argument of :meth:`plait.Plait.evaluate` that such a model refuses.
            lang: Language of the HTML report, "en" or "zh".

        Returns:
            The report, with the numbers under "evaluation" (those of the proof under "replaced") and "verdict".

        Raises:
            ValueError: No column of answers, no readable row, or bad rows under "error".
        """
        chosen_rows = rows if self.chosen.tuning is not None else None
        _refuse(trust=trust, decimal=decimal, set=set, rows=None if rows in ("all", chosen_rows) else rows)
        check_report_place(report, lang)
        opened = open_asked(
            self.asking,
            table,
            format=format,
            encoding=encoding,
            allow_outside=allow_outside,
            allow_remote=allow_remote,
            annotations=annotations,
        )
        options = DecodeOptions(beams=beams, max_new_tokens=self.asking.max_tokens)
        result = evaluation_report(
            self.network, self.chosen, opened, target=target, options=options, on_bad_row=on_bad_row, seed=seed,
            rows=chosen_rows, progress=progress,
        )  # fmt: skip
        if report is not None:
            write_report(Path(report), result, title=title_of(result), lang=lang or self.lang)
        return result.in_language(lang)

    def _not_for_these(self, *_: Any, **__: Any) -> NoReturn:
        raise ValueError(
            "a ready vision-language model takes fit, generate, score_answers, predict and evaluate only; a model that "
            "plait.fit trained takes the rest"
        )

    explain = calibrate = suggest = embed = classify = described = leaderboard = predict_proba = _not_for_these


def _refuse(**given: Any) -> None:
    """Refuse arguments of verbs of trained models.

    Raises:
        ValueError: One was given.
    """
    found = [f"{name}={value!r}" for name, value in given.items() if value not in (None, False, (), [])]
    if found:
        raise ValueError(
            f"{', '.join(found)} is for models that plait.fit trained; a ready vision-language model judges and "
            "answers all rows as they are: leave it out"
        )
