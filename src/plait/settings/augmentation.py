"""Settings of augmentation: which changed copies of its rows training sees."""

from __future__ import annotations

from dataclasses import dataclass

from plait.settings.ranges import between, choice, share

IMAGE_POLICIES = ("none", "flip", "trivial", "rand")
AUDIO_POLICIES = ("none", "wave", "mask", "all")
MIRRORS = ("auto", "words", "never")
MIXES = ("none", "cutmix", "mixgen")
MOST_VIEWS = 64  # each is encoded and stored for every item


@dataclass(frozen=True)
class AugmentSettings:
    """Which changed copies of its rows training sees; validation and test rows are never changed."""

    views: int = between(1, 1, MOST_VIEWS)
    """Views of each training item, 1 to 64, the first of them the item itself; a step shows one of them; 1: off."""
    image: str = choice("trivial", IMAGE_POLICIES)
    """Of pictures: none, flip (mirrored only), trivial (TrivialAugment) or rand (RandAugment), odd views mirrored."""
    strength: float = between(1.0, 0.0, 1.0)
    """Share of the largest changes of pictures, 0 to 1."""
    mirror: str = choice("auto", MIRRORS)
    """Pictures whose words tell left from right: auto (never mirrored) or words (both are); never: no picture is."""
    text: float = share(0.1)
    """Share of a text's words left out or masked, in [0, 1); texts below 5 words stay as they are."""
    audio: str = choice("all", AUDIO_POLICIES)
    """Of sounds: none, wave (loudness and shift), mask (silenced spans and bands) or all."""
    mix: str = choice("none", MIXES)
    """Rows joined in training: cutmix (pictures whose encoder is trained) or mixgen (retrieval); see train.mixup."""
    numbers: float = share(0.1)
    """Probability that a number or category takes the value of another training row, in [0, 1)."""
    test_views: int = between(1, 1, MOST_VIEWS)
    """Views, 1 to 64, over which an answer averages the vectors of frozen encoders, in predict and evaluate; 1: off."""
