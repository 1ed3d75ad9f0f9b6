"""A vision-language model tuned with LoRA on a table: rows split, additions trained, validation rows choose, test rows
judge.

In: a model that is asked already, and rows with answers. Out: the same model with what it learned, and its report. What
validation rows say of the untuned model decides whether anything is kept. No loop of its own: ``train_adapter``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from plait.api.folder_checks import has_vlm
from plait.api.vision_language.folder import Chosen, check_free, replace_folder
from plait.api.vision_language.judging import judged_report
from plait.api.vision_language.tuned import Tuning
from plait.api.vision_language.tuning_guard import PASSES, TuningGuard
from plait.api.vision_language.tuning_rows import TuningRows, examples_of, read_tuning, validation_rows
from plait.api.vision_language.tuning_settings import parts_of, resolved
from plait.api.working_folder import deciding, forget_run, run_folder
from plait.data.progress import Progress
from plait.data.table import Table
from plait.encoders.gradient_checkpointing import can_checkpoint
from plait.heads.language import DecodeOptions
from plait.inference.vision_language import LoraShape, LoraWeights, VisionLanguageNetwork
from plait.inference.vision_language.adapter import adapter_tensors, linear_maps
from plait.registry import counted
from plait.report.shown import ShownReport
from plait.settings import RunSettings
from plait.training.deadline import Deadline
from plait.training.history import History
from plait.training.known_split import CHOSE_THE_EPOCH, split_fingerprint, table_fingerprint
from plait.training.seen_rows import SeenInputs
from plait.training.splitting import count_splits
from plait.training.vision_language import AnswerBatches, train_adapter


@dataclass
class Learned:
    """What became of a model.

    Attributes:
        chosen: Checkpoint and asking, with what was learned where it is kept.
        report: The report.
    """

    chosen: Chosen
    report: ShownReport


def tune(
    network: VisionLanguageNetwork, chosen: Chosen, table: Table, settings: RunSettings, *, target: str,
    on_bad_row: str, output: Path | None, resume: bool, overwrite: bool, lang: str, started: float,
    progress: Progress | None,
) -> Learned:  # fmt: skip
    """Tune a network in place; see :meth:`plait.VisionLanguageModel.fit`.

    Args:
        network: The network, without additions; whatever goes wrong, it ends without them.
        chosen: Its checkpoint, fingerprint and asking.
        table: The rows.
        settings: As given; what is open is resolved here.
        target: Column of true answers.
        on_bad_row: What becomes of rows that cannot be read.
        output: Folder to save in; None: nowhere.
        resume: Go on with the run that is there.
        overwrite: Replace the model that is there.
        lang: Language of the page.
        started: ``time.monotonic()`` when the run began.
        progress: Called with what is done.

    Raises:
        ValueError: Rows, settings or the folder do not allow it.
    """
    shape = LoraShape(settings.language.lora_rank, linear_maps(network.model, parts_of(settings)))
    if settings.train.gradient_checkpointing and not can_checkpoint(network.model):
        raise ValueError(
            f"train.gradient_checkpointing computes layers again on the way back, and none are found in "
            f"{type(network.model).__name__}; leave it out, and where memory runs out lower train.batch_size"
        )
    deadline = Deadline(settings.time_limit, started)
    decides = {
        **deciding(settings), "asking": chosen.asking.to_json(),
        "fingerprint": chosen.fingerprint, "target": target, "targets": list(shape.targets), "dtype": chosen.dtype,
    }  # fmt: skip
    with _folder(output, decides, table, resume=resume, overwrite=overwrite) as folder:
        run = read_tuning(network, chosen.asking, table, settings, target, on_bad_row)
        train = resolved(settings.train, len(run.positions("train")))
        try:
            network.add_adapter(shape, train.seed)
            batches = AnswerBatches(
                network.prompter, examples_of(network, run, run.positions("train")), train.batch_size or 1, train.seed
            )
            validation = validation_rows(network, run)
            guard = TuningGuard.before(network, chosen.asking, run, validation, deadline, progress)
            history = train_adapter(
                network, batches, train, folder / "checkpoints", validation=validation, resume=resume,
                checkpoints=output is not None, progress=progress, deadline=deadline,
            )  # fmt: skip
            is_kept = guard.keeps(network, chosen.asking, run, validation, progress)
            learned = _learned(network, chosen, table, run, shape, train.seed) if is_kept else chosen
            if not is_kept:
                network.remove_adapter()
            report = _report(network, learned, run, guard, history, deadline, train.seed, progress)
            if output is not None:
                replace_folder(learned, folder, report, lang)
                forget_run(folder)
        except BaseException:
            if network.adapter is not None:
                network.remove_adapter()
            raise
    return Learned(learned, report)


@contextmanager
def _folder(
    output: Path | None, decides: dict[str, Any], table: Table, *, resume: bool, overwrite: bool
) -> Iterator[Path]:  # fmt: skip
    """The folder that a run works in: that of the model, or one that is gone afterwards."""
    if output is None:
        with tempfile.TemporaryDirectory() as temporary:
            yield Path(temporary)
        return
    check_free(output, overwrite=overwrite, resume=resume)
    has_model = has_vlm(output)
    with run_folder(output, decides, table, resume=resume, overwrite=overwrite, has_model=has_model):
        yield output


def _learned(
    network: VisionLanguageNetwork, chosen: Chosen, table: Table, run: TuningRows, shape: LoraShape, seed: int
) -> Chosen:
    facts = {
        "rows": len(table), "fingerprint": table_fingerprint(table), "split_fingerprint": split_fingerprint(run.split),
    }  # fmt: skip
    seen = SeenInputs.of(run.asked.rows, run.positions("train", "val"))
    stored = LoraWeights(shape, adapter_tensors(network.model))
    return replace(chosen, tuning=Tuning(stored, run.schema, seed, facts, seen))


def _report(
    network: VisionLanguageNetwork, learned: Chosen, run: TuningRows, guard: TuningGuard, history: History,
    deadline: Deadline, seed: int, progress: Progress | None,
) -> ShownReport:  # fmt: skip
    """The report on the held-out rows, or the best that there is, with what is said of the run."""
    split = next(part for part in ("test", "val", "train") if len(run.positions(part)))
    positions = run.positions(split)
    about = {
        "train": ["there are no held-out rows: the numbers are of the training rows and say little"],
        "val": [CHOSE_THE_EPOCH],
    }.get(split, [])
    fitting = len(positions)
    if deadline.limit is not None and guard.seconds > 0:
        fitting = max(1, int(deadline.left_for_evaluation / (PASSES * guard.seconds)))
    if fitting < len(positions):
        about.append(f"there was time to judge {fitting:,} of {counted(len(positions), 'row')}, at even distances")
        positions = positions[np.linspace(0, len(positions) - 1, fitting).round().astype(np.int64)]
    if deadline.cut:
        about.append(f"time_limit={deadline.limit:g}s stopped early: {', '.join(deadline.cut)}; the best epoch stands")
    options = DecodeOptions(max_new_tokens=learned.asking.max_tokens)
    report = judged_report(
        network, learned, run.asked, positions, run.values, run.target, run.task, options=options, seed=seed,
        split=split, notes=[*about, *run.notes], progress=progress,
    )  # fmt: skip
    if guard.verdict is not None:
        report["verdict"] = f"{guard.verdict} {report['verdict']}"
    report |= {
        "splits": count_splits(run.split, run.usable), "history": history.epochs, "best_epoch": history.best_epoch,
        "guard": guard.to_json(),
        "facts": {
            "source": run.asked.rows.table.source, "rows": len(run.asked.rows),
            "training_seconds": round(history.seconds, 2), "seconds": round(deadline.seconds, 1),
        },
    }  # fmt: skip
    return report
