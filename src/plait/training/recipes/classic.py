"""The founding recipe: frozen text encoder and CNN, one learned alpha, a linear softmax classifier, SGD."""

from __future__ import annotations

from plait.training.recipes.base import NO_OBJECTIVES, NOTHING_HIDDEN, RECIPES, Choices, Facts, small_batch


def classic(facts: Facts) -> Choices:
    """The founding recipe, on any encoder pair; trained by SGD with momentum."""
    two = len(facts.kinds) == 2
    return {
        "encoders": {
            "image_crops": "whole", "text_cleaning": "none", "words": 0, "numbers": "linear", "categories": "full",
        },
        "fusion": {
            "name": "weighted_sum", "width": 512, "dropout": 0.0, "options": {"raw": two, "normalise": False},
            "scaling": "rows",
        },
        "task": {"head": "label", "class_weights": False, "threshold": 0.5},
        "train": {
            "epochs": 10, "optimizer": "sgd", "learning_rate": 0.01, "weight_decay": 0.0,
            "schedule": "constant", "warmup": 0.0, "patience": 0, **NOTHING_HIDDEN, **NO_OBJECTIVES,
            "batch_size": small_batch(facts.num_train, 64), "ema": 0.0, "min_steps": 0,
        },
    }  # fmt: skip


RECIPES.add("classic", classic)
