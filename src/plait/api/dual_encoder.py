"""Ready two-tower models without training: CLIP, SigLIP, CLAP and their like as a model folder that searches.

In: a reference to the weights. Out: a ``Plait`` like any other, so evaluate, embed, an index and search work with it.
The model's own projections map both sides, and its own temperature scales the cosines.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import torch

from plait.api.model_folder import check_output_free
from plait.api.predictor import Plait
from plait.data.modality import Modality
from plait.data.schema import Column, Schema
from plait.encoders.dual_encoder import read_pair
from plait.encoders.load import load_encoder
from plait.heads.dual_encoder import DualEncoderHead
from plait.heads.temperature import MAX_LOG_SCALE
from plait.inputs.inputs import Inputs
from plait.model import PlaitConfig, PlaitModel
from plait.settings import EncoderSettings, FusionSettings, RunSettings, TaskSettings
from plait.tasks import LabelState
from plait.weights import locate

LONGEST_TEXT = 512


def two_tower(
    reference: str, *, image: str = "image", text: str = "caption", audio: str = "audio",
    output: str | Path | None = None, overwrite: bool = False,
) -> Plait:  # fmt: skip
    """Make a model of a ready two-tower network, without training.

    Args:
        reference: ``hf:openai/clip-vit-base-patch32``, ``hf:laion/clap-htsat-unfused`` or ``hf:`` and a folder; the
            weights must be on this machine (``plait weights fetch`` brings them).
        image: Column that holds pictures, in the tables it will read; of a model of pictures and texts.
        text: Column that holds texts.
        audio: Column that holds sounds; of a model of sounds and texts (CLAP).
        output: Folder to save the model in.
        overwrite: Replace a model that is there.

    Returns:
        The model.

    Raises:
        ValueError: The weights are not here, or are not those of a two-tower model; or the folder is taken.
    """
    if not reference.startswith("hf:"):
        raise ValueError(f"a ready two-tower model is named hf:ID or hf:FOLDER, got {reference!r}")
    for kind, name in (("image", image), ("audio", audio)):
        if name == text:
            raise ValueError(f"{kind} and text are both the column {text!r}; name two columns")
    check_output_free(output, resume=False, overwrite=overwrite)
    folder = locate(reference)
    pair = read_pair(folder)
    named = f"two-tower:{reference.removeprefix('hf:')}"
    other = {"image": image, "audio": audio}[pair.other]
    modalities = (Modality(other, pair.other, (other,)), Modality(text, "text", (text,)))
    inputs = Inputs(modalities, {}, {}, {}, {}, with_tokens=False, max_pixels=64_000_000, engine="auto")
    for modality in modalities:
        encoder, processor = load_encoder(named, modality.kind, None, LONGEST_TEXT)
        inputs.frozen[modality.name], inputs.processors[modality.name] = encoder, processor
        inputs.references[modality.name] = {
            "reference": named, "kind": modality.kind, "image_size": None, "max_length": LONGEST_TEXT,
            "fingerprint": encoder.fingerprint,
        }  # fmt: skip
    width = inputs.frozen[other].vector_dim
    loss = "infonce" if pair.bias is None else "siglip"
    config = PlaitConfig(
        modalities=[
            {"name": m.name, "kind": m.kind, "vector_dim": width, "token_dim": None, "encoder": None}
            for m in modalities
        ],
        fusion={"name": "cosine", "width": width, "dropout": 0.0, "options": {"project": False}},
        head={"name": "towers", "dropout": 0.0, "options": {"loss": loss}},
        task="retrieval",
        num_outputs=1,
    )
    model = PlaitModel(config)
    assert isinstance(model.head, DualEncoderHead)
    with torch.no_grad():
        model.head.log_scale.fill_(min(math.log(pair.scale), MAX_LOG_SCALE))
        model.head.bias.fill_(0.0 if pair.bias is None else pair.bias)
    model.train(False)
    reads = EncoderSettings(text=named)
    reads = replace(reads, image=named) if pair.other == "image" else replace(reads, audio=named)
    columns = tuple(Column(m.name, m.kind, "input", "named by the user") for m in modalities)
    settings = RunSettings(
        encoders=reads,
        fusion=FusionSettings("cosine", width, 0.0, {"project": False}),
        task=TaskSettings(name="retrieval", head="towers", loss=loss, hubs=False),
    )
    fitted = Plait(model, {}, inputs, LabelState(), Schema(columns), settings)
    if output is not None:
        fitted.save(output, overwrite=overwrite)
    return fitted
