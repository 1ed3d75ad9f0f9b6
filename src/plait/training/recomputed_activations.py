"""What ``train.gradient_checkpointing`` does in a run: refused where it cannot, told where it changes nothing."""

from __future__ import annotations

from plait.encoders.base import Encoder
from plait.encoders.gradient_checkpointing import can_checkpoint
from plait.inputs.inputs import Inputs
from plait.settings import RunSettings
from plait.tasks import Task
from plait.training.plan import Plan


def check_checkpointing(settings: RunSettings, task: Task, inputs: Inputs) -> None:
    """Refuse gradient checkpointing where no network that learns has blocks; before anything is encoded.

    Raises:
        ValueError: Encoders are trained, none of them has blocks, and no language model stands behind them.
    """
    if not settings.train.gradient_checkpointing or task.family.writes:
        return
    whole = _without_blocks(inputs)
    if whole and len(whole) == len(_trained(inputs)):
        names = ", ".join(f"{name} ({encoder.reference})" for name, encoder in whole.items())
        raise ValueError(
            f"train.gradient_checkpointing computes the blocks of an encoder again on the way back, and none are found "
            f"in the encoder of {names}; leave it out, and where memory runs out lower train.batch_size and raise "
            "train.accumulate"
        )


def checkpointing_notes(plan: Plan) -> list[str]:
    """What a report says of it: nothing where it is off."""
    if not plan.settings.train.gradient_checkpointing:
        return []
    trained, whole = _trained(plan.inputs), _without_blocks(plan.inputs)
    again = [name for name in trained if name not in whole]
    notes = []
    if again:
        notes.append(f"gradient checkpointing: blocks are computed again on the way back for {', '.join(again)}")
    if whole:
        notes.append(f"gradient checkpointing leaves out what has no blocks: {', '.join(whole)}")
    if plan.task.family.writes:
        notes.append("gradient checkpointing: layers of the language model are computed again on the way back")
    elif not trained:
        notes.append("train.gradient_checkpointing changes nothing here: no encoder is trained")
    return notes


def _trained(inputs: Inputs) -> dict[str, Encoder]:
    """Encoders inside the model that learn, by modality, but for those of numbers, which keep little."""
    return {
        name: encoder
        for name, encoder in inputs.live.items()
        if not encoder.is_exact and any(weight.requires_grad for weight in encoder.parameters())
    }


def _without_blocks(inputs: Inputs) -> dict[str, Encoder]:
    return {name: encoder for name, encoder in _trained(inputs).items() if not can_checkpoint(encoder)}
