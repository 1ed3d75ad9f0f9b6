"""What retrieval and matching ask of a recipe alike: larger pictures, and towers, one or several side by side."""

from __future__ import annotations

from typing import Any

from plait.settings import EncoderSettings, RunSettings
from plait.training.recipes.base import Choices, Facts
from plait.weights import RECORDS

LARGE_SIDE = 288
MOST_WITH_CROPS = 50_000  # rows; three times the encoding of more takes hours without an accelerator
TOWER = 512


def see_closely(chosen: Choices, facts: Facts) -> None:
    """Larger pictures, and two corners of them beside the whole, unless they are small; of many, the whole alone."""
    if chosen["encoders"]["image_size"] == 224:
        chosen["encoders"]["image_size"] = LARGE_SIDE
        chosen["encoders"]["image_crops"] = "diagonal" if facts.num_train <= MOST_WITH_CROPS else "whole"


def towers(copies: int, dropout: float, *, canonical: bool = False) -> dict[str, Any]:
    """The fusion: so many towers a modality, of which each is trained by itself, or the last has a closed form."""
    options = {"copies": copies, **({"canonical": True} if canonical else {})}
    return {"name": "cosine", "width": copies * TOWER, "dropout": dropout, "options": options}


def image_encoders(encoders: EncoderSettings) -> set[str]:
    """References that may read images: that of the kind, and those of single columns but for texts and sounds."""
    other = {name for name in RECORDS if RECORDS.get(name).kind != "image"} | {"scratch:text", "scratch:audio"}
    return {encoders.image, *(r for r in encoders.columns.values() if r not in other)}


def keep_to(settings: RunSettings, chosen: Choices) -> None:
    """Take back what does not go with the user's settings."""
    encoders = settings.encoders
    is_ours = image_encoders(encoders) == {EncoderSettings().image}  # what side and crops were measured with
    if not is_ours:
        chosen["encoders"]["image_size"] = min(224, chosen["encoders"]["image_size"])
    if not is_ours or {encoders.tuning, *encoders.tuning_of.values()} != {"frozen"}:
        chosen["encoders"]["image_crops"] = "whole"
    options, width = settings.fusion.options, settings.fusion.width or 0
    ours = chosen["fusion"]["options"]["copies"]
    if options.get("canonical") is False and "copies" not in options:
        ours -= 1  # the trained ones
        chosen["fusion"]["options"]["copies"] = ours
    copies = options.get("copies", ours)
    if "copies" in options:  # so many, all trained, unless canonical ones are asked for as well
        chosen["fusion"]["options"].pop("canonical", None)
    if settings.fusion.name not in (None, "cosine") or options.get("project") is False:
        chosen["fusion"] |= {"width": TOWER, "options": {}}
    elif "copies" not in options and width % ours:
        chosen["fusion"].pop("options")
        if ours > 2 and width % (ours - 1) == 0:
            chosen["fusion"]["options"] = {"copies": ours - 1}  # the trained ones
    elif isinstance(copies, int) and copies > 0:
        chosen["fusion"]["width"] = copies * TOWER
