"""The Python API: ``fit`` a table, ``load`` a model folder. The command line says the same words and calls these.

What computes is imported when one of them is called, so that the door of this room costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from plait.api.clock import run_began
from plait.api.machine import is_first_process, runs_alone
from plait.api.other_words import says_our_words
from plait.api.watching import WatchedBy, watched
from plait.data.memory import bounded
from plait.data.table_like import TableLike
from plait.settings import Assignments, DataOptions, RunSettings, assignments_of
from plait.settings.durations import seconds_of
from plait.settings.trackers import tracker_names

if TYPE_CHECKING:
    from plait.api.predictor import Plait
    from plait.api.vision_language import VisionLanguageModel


def load(folder: str | Path) -> Plait | VisionLanguageModel:
    """Load a model folder. Nothing in it is ever unpickled or run.

    Args:
        folder: The folder; or a ready vision-language model (:func:`plait.vlm`): its folder, that of its checkpoint, or
            ``hf:ID``.

    Returns:
        A :class:`plait.Plait`; of a vision-language model a :class:`plait.VisionLanguageModel`.

    Raises:
        FileNotFoundError: No such folder.
        ValueError: Not a finished Plait model, or the encoders it needs are not here or are others.
    """
    from plait.api.folder_checks import check_model_there, is_vision_language
    from plait.files import given_path

    folder = folder if isinstance(folder, str) and folder.startswith("hf:") else given_path(folder, "folder")
    if is_vision_language(folder):
        from plait.api.vision_language import VisionLanguageModel

        return VisionLanguageModel.load(folder)
    check_model_there(Path(folder))  # before seconds of imports
    from plait.api.predictor import Plait

    return Plait.load(folder)


@watched
@says_our_words
@bounded
def fit(
    table: TableLike,
    target: str | None = None,
    *,
    task: str | None = None,
    text: Sequence[str] | str = (),
    image: Sequence[str] | str = (),
    audio: Sequence[str] | str = (),
    image_set: Sequence[str] | str = (),
    vector: Sequence[str] | str = (),
    numeric: Sequence[str] | str = (),
    categorical: Sequence[str] | str = (),
    date: Sequence[str] | str = (),
    ignore: Sequence[str] | str = (),
    split: str | None = None,
    split_by_time: str | None = None,
    calibration: float | None = None,
    group: str | None = None,
    id: str | None = None,
    recipe: str = "default",
    preset: str | None = None,
    time_limit: str | float | None = None,
    search: int | None = None,
    fusion: str | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    output: str | Path | None = None,
    lang: str | None = None,
    format: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    decimal: str | None = None,
    date_order: str | None = None,
    annotations: str | None = None,
    more: TableLike | None = None,
    unlabelled: TableLike | None = None,
    semi: str | None = None,
    log_to: str | Sequence[str] | None = None,
    on_bad_row: str | None = None,
    allow_outside: bool = False,
    allow_remote: bool = False,
    settings: RunSettings | None = None,
    set: Assignments = (),
    resume: bool = False,
    overwrite: bool = False,
    memory: str | int | None = None,
    progress: WatchedBy = None,
) -> Plait:
    """Fit a model to a table.

    Args:
        table: A file, folder, data frame, dictionary of columns or list of rows; or a COCO folder.
        target: Column to predict.
        task: classification, multilabel, regression, matching, captioning, vqa or retrieval (no target); None tells it
            from the target.
        text: Columns to read as text (others are still guessed).
        image: Columns to read as images.
        audio: Columns to read as sounds.
        image_set: Columns to read as sets of images: lists, or paths between ; or |.
        vector: Columns to read as ready vectors, or sequences of them.
        numeric: Columns to read as numbers.
        categorical: Columns to read as categories.
        date: Columns to read as dates, times of day or both.
        ignore: Columns to leave out.
        split: Column that says train, val or test (and calibration, where rows are kept for it); None looks
            for one, else rows are split at random.
        split_by_time: Column of dates or numbers by which rows are split: the earliest for training, then for
            validation, the latest for the test.
        calibration: Share of the rows that is kept for calibration, such as 0.1: whole groups that train and choose
            nothing, on which sure probabilities and the sets and intervals of ``predict(coverage=0.9)`` rest.
        group: Column whose equal values stay on one side of the split.
        id: Column that names rows in predictions.
        recipe: "default", "classic" or "sentiment".
        preset: "fast", "default", "best", "single" or "prototypes": how many models are tried and answer together.
            "single" is one network, "fast" that and members that take seconds, "best" all; "prototypes" class means,
            linear models and the network, for classes of 1 to 16 rows; "default" is what is done without a word, today
            the same as "fast", or "single" where a fusion is named.
        time_limit: How long all of it may take, encoding and evaluation included: "90s", "10m", "2h" or seconds. It is
            spent on what ``preset`` holds (of "best", where none is named), what is worth most first; what was left out
            stands in the report.
        search: How many configurations of fusion, width, dropout, learning rate and objectives are tried by successive
            halving on validation rows; the best answer together with the network of the given settings.
        fusion: Name of a fusion (``plait fusions`` lists them).
        epochs: Passes over the training rows.
        seed: Seed of everything random.
        output: Folder to save the model in.
        lang: Language of the model's pages, "en" or "zh"; None: English.
        format: Format of the source when its name does not tell it; "coco".
        encoding: Encoding of a text file that is not UTF-8.
        delimiter: One character between the fields of a CSV file; None: found in its first rows.
        decimal: Decimal mark, "." or ",", of columns whose cells leave it open (1,234).
        date_order: "dmy" or "mdy", for dates whose column leaves it open (05/03/2024).
        annotations: Folder of COCO annotations other than ``annotations``.
        more: A second table of labelled rows, such as the filled one of :meth:`plait.Plait.suggest`; they train and
            judge nothing, and rows without a target are left behind.
        unlabelled: A table of rows without a target to learn from, which judge nothing; rows of ``table`` with an empty
            target join them. A target that a row has all the same trains nothing and says how right pseudo-labels are.
        semi: How they teach: "self_training", "co_training", "propagation", "knn", "noisy_student", "fixmatch",
            "flexmatch", "mean_teacher" or "none"; None: where ``unlabelled`` is given, propagation for classes and
            self_training for label sets and numbers. The supervised network is trained too, and validation rows choose.
        log_to: Experiment trackers, "mlflow", "tensorboard", "trackio" or "wandb", a list of them or names between
            commas: settings, epochs and the numbers of the evaluation, on this machine unless their own variables say
            otherwise. Where they went is said in ``report["logged"]``.
        on_bad_row: "error", "missing" or "skip".
        allow_outside: Let cells name files outside the table's folder (of a table in memory: the current folder).
        allow_remote: Fetch cells that are addresses of objects (s3://, gs://, hf://, https://).
        settings: A full set of settings to start from.
        set: Further settings: a mapping such as {"train.epochs": 3} (or nested), or a list of "a.b=c".
        resume: Go on with a run in ``output`` that was stopped.
        overwrite: Replace a model in ``output``.
        memory: Most memory that this process may hold, such as "4GB" or "3GiB", the model and Python among it; None:
            four fifths of what is free. What cannot be kept under it is refused before it begins.
        progress: Called with (done, total, what); None: bars where a person watches; False: none.

    Returns:
        The fitted model, evaluated on the held-out rows (``.report``).

    Raises:
        ValueError: Something about the table or the settings; the message says what to type.
    """
    started = run_began()
    data = DataOptions(
        target, text, image, audio, image_set, vector, numeric, categorical, date, ignore, split=split,
        split_by_time=split_by_time, group=group, id=id, format=format, encoding=encoding, delimiter=delimiter,
        decimal=decimal, date_order=date_order, on_bad_row=on_bad_row, allow_outside=allow_outside or None,
        allow_remote=allow_remote or None,
    )  # fmt: skip
    given = {
        "recipe": recipe, "preset": preset, "search.tries": search,
        "time_limit": None if time_limit is None else seconds_of(time_limit, "time_limit"),
        **data.given(), "data.calibration": calibration, "task.name": task, "fusion.name": fusion,
        "train.epochs": epochs, "train.seed": seed, "judge.lang": lang, "semi.method": semi,
        "train.log_to": tracker_names(log_to),
    }  # fmt: skip
    from plait.api.first_look import open_checked
    from plait.api.folder_checks import check_output_free, warn_of_nothing_to_resume

    if resume and overwrite:
        raise ValueError("resume=True goes on with a run and overwrite=True throws it away; type one of them")
    if resume and output is None:
        raise ValueError("resume=True needs output=FOLDER, that of the run that was stopped")
    base, assignments = settings or RunSettings(), assignments_of(set)
    if not is_first_process():  # the first process writes
        output, resume, progress = None, resume and output is not None, None
    free = partial(check_output_free, output, resume=resume, overwrite=overwrite)
    if runs_alone():
        free()
    if resume and output is not None:
        warn_of_nothing_to_resume(output)
    opened = open_checked(table, given, base, assignments, annotations=annotations)
    from plait.api.run import run_fit  # the trainer takes seconds to import
    from plait.training.processes import joined

    with joined() as processes:
        if processes is not None:
            processes.in_turn(free)  # what stops the first stops all
        return run_fit(
            opened, given, base, assignments, output=output, annotations=annotations,
            resume=resume, overwrite=overwrite, progress=progress, started=started, more=more,
            unlabelled=unlabelled,
        )  # fmt: skip
