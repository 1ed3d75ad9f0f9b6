"""Training: settings to a stock ``transformers.Trainer``, at arm's length.

The model returns its own loss; validation scores come from a function given here, called once an epoch by one
callback; the best epoch's weights are kept beside each checkpoint. A run that was killed resumes from its
last whole checkpoint and ends exactly where the straight run ends. Checkpoints are working files of the run:
they are removed when it ends, and nothing in a finished model folder is ever unpickled.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import Trainer, TrainerCallback, TrainingArguments

from plait.data.progress import Progress
from plait.encoders.gradient_checkpointing import gradient_checkpointing
from plait.files import write_text
from plait.fusion.modality_dropout import share_of_rate
from plait.inputs.dataset import RowBatches, whole_batch
from plait.model import PlaitModel
from plait.settings import TrainSettings
from plait.training.averaging import AVERAGE_FILE, WeightAverage
from plait.training.best_weights import BestWeights
from plait.training.checkpoints import KEPT, STATE_FILE, last_checkpoint, room_for_checkpoints
from plait.training.deadline import Deadline
from plait.training.history import History
from plait.training.length_groups import GroupedBatches
from plait.training.optimizer import make_optimizer
from plait.training.pace import epoch_time, steps_of
from plait.training.processes import Processes, current, is_sharded, spreading
from plait.training.sharding import Sharding, shard_encoders
from plait.training.tracking import Tracking
from plait.training.tracking.base import PROJECT
from plait.training.unlabelled.term import UnlabelledTerm

logger = logging.getLogger(__name__)
Score = Callable[[PlaitModel], dict[str, float]]
Watch = Callable[[PlaitModel], dict[str, float]]
UNLABELLED_FILE = "unlabelled.safetensors"


def train_model(
    model: PlaitModel,
    rows: RowBatches | GroupedBatches,
    settings: TrainSettings,
    folder: Path,
    *,
    score: Score | None = None,
    watch: Watch | None = None,
    resume: bool = False,
    checkpoints: bool = True,
    tracking: Tracking | None = None,
    progress: Progress | None = None,
    what: str = "training",
    deadline: Deadline | None = None,
    unlabelled: UnlabelledTerm | None = None,
) -> History:
    """Train in place; it ends with the weights of its best validation epoch (of the last, where no epoch has a score).

    Args:
        model: The model, on any device.
        rows: Training rows; where an item is a batch, ``settings.batch_size`` is 1.
        settings: Resolved settings (nothing None but ``threads``).
        folder: Where checkpoints live while the run lasts.
        score: Called after each epoch; returns named validation numbers, under "score" the selecting one, the
            larger the better, under "loss" their mean loss, which decides between equal scores.
        watch: Called before the first epoch and after each, ahead of ``score``; returns numbers for the history.
        resume: Go on from the last whole checkpoint in ``folder``, if there is one.
        checkpoints: Write one each epoch; without them a stopped run begins anew.
        tracking: Trackers that are told of each epoch; None: none.
        progress: Called with steps done, steps in all and a line of text.
        what: What to call the work in that line.
        deadline: Asked after each step; once it has passed, training ends with the best state so far.
        unlabelled: What rows without a target add to the loss of each step.

    Raises:
        RuntimeError: The loss is not finite.
    """
    assert settings.epochs is not None and settings.batch_size is not None
    assert settings.warmup is not None and settings.schedule is not None
    started = time.monotonic()
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    processes = current()
    checkpoint = last_checkpoint(folder) if resume else None
    if checkpoint is None and folder.exists():
        shutil.rmtree(folder)
    checkpoint = checkpoint if processes is None else processes.agree(checkpoint)
    sharding = shard_encoders(model, settings.fsdp, processes)
    checkpoints = checkpoints if sharding is None else sharding.processes.agree(checkpoints)  # all gather them
    judge = _Judge(model, rows, score, settings.patience or 0, progress, what)
    judge.best = BestWeights(model, sharding)
    judge.average = WeightAverage(model, settings.ema) if settings.ema else None
    judge.unlabelled = unlabelled
    if unlabelled is not None:
        unlabelled.average = judge.average
    if checkpoint is not None:
        judge.restore(checkpoint)
    arguments = _OneDeviceArguments(
        output_dir=str(folder),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.accumulate,
        max_grad_norm=settings.max_grad_norm,
        seed=settings.seed,
        data_seed=settings.seed,
        save_strategy="epoch" if checkpoints else "no",
        save_total_limit=KEPT - 1,
        logging_strategy="epoch",
        report_to=list(tracking.names) if tracking is not None else [],
        run_name=tracking.facts.name if tracking is not None else None,
        project=PROJECT,
        remove_unused_columns=False,
        disable_tqdm=True,
        use_cpu=not torch.cuda.is_available(),
        dataloader_pin_memory=torch.cuda.is_available(),
        label_names=["target"],
    )
    steps = steps_of(len(rows), settings)
    optimizer = make_optimizer(model, settings, sharding)
    schedule = transformers.get_scheduler(
        settings.schedule if settings.schedule != "constant" else "constant_with_warmup",
        optimizer,
        num_warmup_steps=round(settings.warmup * steps),
        num_training_steps=steps,
    )
    arguments.reported = {} if tracking is None else dict(tracking.facts.parameters)
    held = contextlib.nullcontext() if tracking is None else tracking.training()
    with held:  # callbacks of trackers read their variables when they are made
        trainer = _WatchedTrainer(
            model=model,
            args=arguments,
            train_dataset=rows,
            data_collator=cast(Any, whole_batch),
            optimizers=(optimizer, schedule),
            callbacks=[judge],
        )
    if hasattr(model, "config"):  # where the Trainer writes of a cache that only its own networks have
        vars(model.config).pop("use_cache", None)
    trainer.remove_callback(transformers.trainer_callback.PrinterCallback)
    judge.deadline, judge.processes = deadline, processes
    trainer.unlabelled, trainer.processes, trainer.sharding = unlabelled, processes, sharding
    trainer.weight, trainer.tokens = getattr(rows, "weight", None), getattr(rows, "tokens", None)
    judge.trainer, judge.watch, judge.dropout_schedule = trainer, watch, settings.modality_dropout_schedule
    judge.is_tracked = tracking is not None and bool(tracking.names)
    model.train_in(getattr(torch, settings.precision))
    done = checkpoint is not None and judge.is_over(settings.epochs)
    if not done:
        again = contextlib.nullcontext() if tracking is None else tracking.training()
        recomputed = gradient_checkpointing(model, settings.gradient_checkpointing)
        with room_for_checkpoints(folder, model), again, spreading(model, processes), recomputed:
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    judge.finish()
    judge.trainer = None  # each holds the other: what the rows map would stay open until a full collection
    judge.history.seconds = time.monotonic() - started
    return judge.history


class _OneDeviceArguments(TrainingArguments):
    """One device a process, however many the machine shows.

    With two or more the Trainer would wrap the model in ``DataParallel``, which splits only tensors in the inputs and
    multiplies the batch; batches here are dictionaries of dictionaries, and the schedule counts single batches. Under
    torchrun (one process a device) the number is 1 anyway.
    """

    reported: ClassVar[dict[str, Any]] = {}

    def to_dict(self) -> dict[str, Any]:
        """What trackers take as parameters: Plait's settings where there are trackers."""
        return dict(self.reported) if self.reported else super().to_dict()

    @property
    def n_gpu(self) -> int:
        """Devices that this process trains on: 1, or 0 without an accelerator."""
        return min(1, super().n_gpu)


class _WatchedTrainer(Trainer):
    """Sums the loss of the running epoch and stops at one that is not finite."""

    epoch_loss = 0.0
    epoch_steps = 0
    unlabelled: UnlabelledTerm | None = None
    processes: Processes | None = None
    sharding: Sharding | None = None
    weight: Callable[[dict[str, Any]], float] | None = None  # what the loss of a batch counts, where batches differ
    tokens: Callable[[dict[str, Any]], int] | None = None  # that a batch's mean loss is of; a step is the mean over all
    tokens_a_batch = 1.0  # mean over the batches of the step

    def get_batch_samples(self, *arguments: Any, **kwargs: Any) -> Any:
        """The batches of a step, with their tokens counted: where several make one, a token counts alike in each."""
        batches, items = super().get_batch_samples(*arguments, **kwargs)
        if self.tokens is not None and batches:
            self.tokens_a_batch = max(1, sum(map(self.tokens, batches))) / len(batches)
        return batches, items

    def training_step(self, model: Any, *arguments: Any, **kwargs: Any) -> Any:
        """A pass there and back; where processes train together the gradients of encoders are summed over them."""
        if self.processes is None:
            return super().training_step(model, *arguments, **kwargs)
        weights = [w for w in model.encoders.parameters() if w.requires_grad and not is_sharded(w)]
        before = [weight.grad for weight in weights]
        for weight in weights:
            weight.grad = None
        loss = super().training_step(model, *arguments, **kwargs)
        self.processes.sum_gradients(weights, before)
        return loss

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **kwargs: Any) -> Any:  # type: ignore[override]
        """The model's own loss, and what unlabelled rows add to it."""
        term = None
        if self.unlabelled is not None:  # first: it may exchange the weights
            term = self.unlabelled(model, len(inputs["present"]))
        output = model(**inputs)
        loss = output["loss"] if self.weight is None else output["loss"] * self.weight(inputs)
        if self.tokens is not None:
            loss = loss * (self.tokens(inputs) / self.tokens_a_batch)
        loss = loss if term is None else loss + term
        value = float(loss.detach())
        if not math.isfinite(value):
            raise RuntimeError(
                f"the training loss became {value}; lower the learning rate (set=['train.learning_rate=...']) "
                "or check the numbers in the table"
            )
        self.epoch_loss += value
        self.epoch_steps += 1
        return (loss, output) if return_outputs else loss

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """The model of a checkpoint, whole where it is sharded."""
        if self.sharding is None:
            super().save_model(output_dir, _internal_call)
        else:
            self.sharding.save(Path(output_dir or str(self.args.output_dir)))

    def floating_point_ops(self, inputs: Any) -> int:
        """Not counted: inputs are no single tensor."""
        return 0


class _Judge(TrainerCallback):
    """Scores each epoch on validation, remembers the best weights and stops when it stops getting better."""

    def __init__(
        self,
        model: PlaitModel,
        rows: RowBatches | GroupedBatches,
        score: Score | None,
        patience: int,
        progress: Progress | None,
        what: str,
    ) -> None:
        self.model, self.rows, self.score, self.patience = model, rows, score, patience
        self.progress, self.what = progress, what
        self.history = History()
        self.best = BestWeights(model)
        self.trainer: _WatchedTrainer | None = None
        self.watch: Watch | None = None
        self.is_tracked = False
        self.dropout_schedule = "constant"
        self.average: WeightAverage | None = None
        self.unlabelled: UnlabelledTerm | None = None
        self.deadline: Deadline | None = None
        self.processes: Processes | None = None
        self.first_step: tuple[float, int] | None = None

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Tell the rows and the model's modality dropout which epoch it is."""
        if self.processes is not None:
            self.processes.align(self.model)
        self.rows.set_epoch(epoch := len(self.history.epochs))
        if self.unlabelled is not None:
            self.unlabelled.epoch = epoch
        self.model.dropout_share = share_of_rate(self.dropout_schedule, epoch, int(args.num_train_epochs))
        if self.watch is not None and not self.history.epochs:
            self.watch(self.model)

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Tell the fusion how far training is."""
        self.model.fusion.progress = state.global_step / state.max_steps

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Let auxiliary objectives see what the optimizer is about to change."""
        self.model.before_step()

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Let auxiliary objectives act on the step, and bring parameters back into their range."""
        self.model.after_step()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Take the weights into their average, and show where training is."""
        if self.average is not None:
            self.average.update()
        if len(self.history.epochs) == self.history.resumed_from:  # one epoch: no evaluation between its steps
            self._measure_pace(state, args)
        if self.progress is not None:
            self.progress(state.global_step, state.max_steps, self._line(args))
        if self.deadline is not None and state.global_step < state.max_steps and self.deadline.stop(self.what):
            control.should_training_stop = True

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Score, remember, perhaps stop."""
        trainer = self.trainer
        assert trainer is not None
        epoch = len(self.history.epochs) + 1
        record = {"epoch": float(epoch), "train_loss": trainer.epoch_loss / max(1, trainer.epoch_steps)}
        trainer.epoch_loss, trainer.epoch_steps = 0.0, 0
        record |= self.watch(self.model) if self.watch is not None else {}
        record |= self.unlabelled.numbers() if self.unlabelled is not None else {}
        with self.average.in_place() if self.average is not None else contextlib.nullcontext():
            self._judged(epoch, record)
        self.history.epochs.append(record)
        if self.is_tracked:  # in the Trainer's words: "loss" of training rows, "eval_" of validation rows
            words = {"train_loss": "loss"} | {k: k.replace("val_", "eval_", 1) for k in record if k.startswith("val_")}
            trainer.log({words.get(k, k): v for k, v in record.items()})
        if self.patience and epoch - self.history.best_epoch >= self.patience:
            control.should_training_stop = True
        if self.progress is not None:
            self.progress(state.global_step, state.max_steps, self._line(args))

    def _judged(self, epoch: int, record: dict[str, float]) -> None:
        """Score the model as it stands, and keep its weights where it is the best so far."""
        numbers = self.score(self.model) if self.score is not None else {}
        numbers = numbers if self.processes is None else self.processes.agree(numbers)
        record |= {f"val_{k}": v for k, v in numbers.items() if k != "score"}
        value = numbers.get("score")
        if self.history.is_passed_by(value, numbers.get("loss")):
            self.history.best_epoch, self.history.best_score = epoch, value
            self.best.keep()

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Complete the checkpoint: best weights first, then the state that marks it whole."""
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        self.best.save(folder)
        if self.average is not None:
            save_file(self.average.tensors(), folder / AVERAGE_FILE)
        if self.unlabelled is not None:
            save_file(self.unlabelled.tensors(), folder / UNLABELLED_FILE)
        facts = {
            "epochs": self.history.epochs,
            "best_epoch": self.history.best_epoch,
            "best_score": self.history.best_score,
            "stopped": bool(control.should_training_stop),
        }
        write_text(folder / STATE_FILE, json.dumps(facts), lasting=True)

    def restore(self, checkpoint: Path) -> None:
        """Take up what ``on_save`` wrote."""
        facts = json.loads((checkpoint / STATE_FILE).read_text(encoding="utf-8"))
        self.history.epochs = facts["epochs"]
        self.history.best_epoch, self.history.best_score = facts["best_epoch"], facts["best_score"]
        self.history.resumed_from = len(facts["epochs"])
        self.best.restore(checkpoint)
        self.stopped = bool(facts["stopped"])
        if self.average is not None:
            self.average.restore(load_file(checkpoint / AVERAGE_FILE))
        if self.unlabelled is not None:
            self.unlabelled.restore(load_file(checkpoint / UNLABELLED_FILE))

    stopped = False
    pace: str | None = None

    def is_over(self, epochs: int) -> bool:
        """Whether the restored run had ended already."""
        return self.stopped or len(self.history.epochs) >= epochs

    def finish(self) -> None:
        """Give the model its best weights."""
        self.best.put()
        self.model.fusion.progress = 1.0
        self.model.fusion.after_training()
        self.model.train(False)

    def _measure_pace(self, state: Any, args: Any) -> None:
        """Learn from the steps after the first, which also warms up, how long an epoch takes."""
        if self.first_step is None:
            self.first_step = (time.monotonic(), state.global_step)
        began, step = self.first_step
        steps_per_epoch = round(state.max_steps / args.num_train_epochs)
        self.pace = epoch_time(
            seconds=time.monotonic() - began, steps=state.global_step - step, steps_per_epoch=steps_per_epoch
        )

    def _line(self, args: Any) -> str:
        epochs = self.history.epochs
        last = int(args.num_train_epochs)
        text = f"{self.what} epoch {min(len(epochs) + 1, last)}/{last}"
        shown = [f"{k[4:]} {v:.3f}" for k, v in (epochs[-1] if epochs else {}).items() if k.startswith("val_")]
        return ", ".join([text, *shown[:1], *([self.pace] if self.pace else [])])
