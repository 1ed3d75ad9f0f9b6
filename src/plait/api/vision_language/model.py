"""The user's object of a ready vision-language model: it writes, chooses by scores, and is judged.

Made by :func:`plait.vlm`, or by ``plait.load`` of its folder or of the checkpoint itself. Its verbs are those of
:class:`plait.Plait` of the same names; nothing is trained.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa

from plait.api.folder_checks import check_report_place
from plait.api.vision_language.answers import predicted, scored, written
from plait.api.vision_language.asking import QUESTION, Asking
from plait.api.vision_language.folder import Chosen, check_free, read_folder, write_folder
from plait.api.vision_language.judging import evaluation_report, title_of
from plait.api.vision_language.rows import ask_rows, open_asked
from plait.api.watching import WatchedBy, watched
from plait.data.modality import Modality
from plait.heads.language import DecodeOptions
from plait.inference.vision_language import VisionLanguageNetwork
from plait.report import write_report
from plait.report.shown import ShownReport
from plait.settings import Assignments
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
        check_free(Path(output), overwrite=overwrite)
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
        self.network = VisionLanguageNetwork(chosen.reference, chosen.dtype)
        self.chosen = chosen
        for name in self.asking.classes:
            self.network.prompter.answer_ids(name)

    def __repr__(self) -> str:
        does = f"one of {len(self.asking.classes)} classes" if self.asking.classes else "text"
        return f"VisionLanguageModel: {self.chosen.reference}, answers {does}"

    @classmethod
    def load(cls, folder: str | Path) -> VisionLanguageModel:
        """Read a folder; see :func:`plait.load`."""
        return cls(read_folder(folder))

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Write ``vlm.json``: the checkpoint's name and fingerprint and what is asked; the weights stay where they are.

        Raises:
            ValueError: The folder holds a model and ``overwrite`` is not set, or something else.
        """
        self.chosen = replace(self.chosen, fingerprint=self.fingerprint)
        write_folder(self.chosen, Path(folder), overwrite=overwrite)
        return Path(folder)

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

    def to(self, device: Any) -> VisionLanguageModel:
        """Move the network, in place."""
        self.network.model.to(device)
        return self

    @watched
    def generate(
        self, table: Any, *, beams: int = 1, length_penalty: float = 1.0, max_new_tokens: int | None = None,
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
        self, table: Any, answers: Sequence[str], *, on_bad_row: str = "missing", allow_outside: bool = False,
        allow_remote: bool = False,
        progress: WatchedBy = None,
    ) -> pa.Table:  # fmt: skip
        """Natural log-probability of each given answer in each row: ``prediction``, ``answers``, ``log_probabilities``.

        Each is the mean over the answer's tokens, or their sum, as ``score`` of :func:`plait.vlm` says; the end of an
        answer is not counted.
        """
        if isinstance(answers, str) or not len(answers):
            raise ValueError("answers must be a list of at least one text, such as ['yes', 'no']")
        opened = open_asked(self.asking, table, allow_outside=allow_outside, allow_remote=allow_remote)
        asked = ask_rows(self.asking, opened, on_bad_row, self.network.prompter)
        return scored(self.network, asked, list(answers), progress)

    @watched
    def predict(
        self, table: Any, *, on_bad_row: str = "missing", progress: WatchedBy = None, format: str | None = None,
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
        self, table: Any, *, chunk_rows: int = CHUNK_ROWS, on_bad_row: str = "missing", progress: WatchedBy = None,
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
        self, table: Any, *, target: str | None = None, report: str | Path | None = None, on_bad_row: str = "error",
        annotations: str | None = None, format: str | None = None, encoding: str | None = None,
        allow_outside: bool = False,
        allow_remote: bool = False, beams: int = 1, seed: int = 0, rows: str | None = None, trust: bool = False,
        decimal: str | None = None, set: Assignments = (), lang: str | None = None, progress: WatchedBy = None,
    ) -> ShownReport:  # fmt: skip
        """Evaluate the model on rows with known answers, and prove whether it looks at the picture.

        The rows are asked four times: as they are, with another row's picture, with a grey picture, and without their
        question (where there is one).

        Args:
            table: The rows, as for :meth:`predict`, like ``on_bad_row`` to ``allow_remote``; or a COCO or VQA folder.
            target: Column of true answers (one, or a list of them); None: that of :func:`plait.vlm`.
            report: Path of an HTML report to write (its JSON lies beside it).
            annotations: Folder of COCO annotations other than ``annotations``.
            beams: Beams to write with.
            seed: Of resamples, and of which row gets which picture.
            rows: None or "all": nothing was trained, so every row is judged.
            lang: Language of the HTML report, "en" or "zh".

        Returns:
            The report, with the numbers under "evaluation" (those of the proof under "replaced") and "verdict".

        Raises:
            ValueError: No column of answers, no readable row, or bad rows under "error".
        """
        _refuse(trust=trust, decimal=decimal, set=set, rows=None if rows == "all" else rows)
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
            progress=progress,
        )  # fmt: skip
        if report is not None:
            write_report(Path(report), result, title=title_of(result), lang=lang or self.lang)
        return result.in_language(lang)

    def _not_for_these(self, *_: Any, **__: Any) -> NoReturn:
        raise ValueError(
            "a ready vision-language model takes generate, score_answers, predict and evaluate only; a model that "
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
