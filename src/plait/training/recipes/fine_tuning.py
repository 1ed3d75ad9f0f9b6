"""What a recipe chooses where pretrained encoders are trained: a few careful epochs (docs/benchmarks.md)."""

from __future__ import annotations

from plait.settings import EncoderSettings, RunSettings
from plait.training.recipes.base import Choices

FROZEN = "frozen"
GENTLE_RATE, LORA_RATE = 2e-5, 1e-4
EPOCHS, FEWEST_STEPS, WARMUP = 3, 100, 0.1


def tuned(encoders: EncoderSettings) -> set[str]:
    """The ways in which encoders are trained, frozen left out; those from scratch do not count."""
    return {encoders.tuning, *map(str, encoders.tuning_of.values())} - {FROZEN}


def choose_tuning(settings: RunSettings, chosen: Choices) -> None:
    """Rates of pretrained encoders and, beside a label head, the length of training, in place.

    The founding recipe keeps its own length.
    """
    modes, train = tuned(settings.encoders), chosen["train"]
    train |= {"encoder_learning_rate": LORA_RATE if modes == {"lora"} else GENTLE_RATE, "layer_decay": 1.0}
    if not modes or settings.recipe == "classic":
        return
    if "full" in modes:
        train["layer_decay"] = 0.9
    if chosen["task"].get("head") == "label":
        train |= {"epochs": EPOCHS, "patience": 0, "warmup": WARMUP, "min_steps": FEWEST_STEPS}
