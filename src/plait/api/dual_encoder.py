"""Ready models of one space for texts and pictures or sounds (CLIP, SigLIP, CLAP, folders of sentence-transformers) as
a model folder that searches, without training.

In: a reference to the weights. Out: a ``Plait`` like any other, so evaluate, embed, an index and search work with it.
The model's own projections map every side, and its own temperature scales the cosines.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from plait.api.model_folder import check_output_free
from plait.api.predictor import Plait
from plait.data.modality import Modality
from plait.data.schema import Column, Schema
from plait.encoders.load import load_encoder
from plait.encoders.space import files_of, read_space
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
    dims: int | None = None, output: str | Path | None = None, overwrite: bool = False,
) -> Plait:  # fmt: skip
    """Make a model of a ready two-tower network, without training.

    Args:
        reference: ``hf:openai/clip-vit-base-patch32``, ``hf:laion/clap-htsat-unfused`` or ``hf:`` and a folder of
            transformers, sentence-transformers or open_clip; the weights must be on this machine (``plait weights
            fetch`` brings them).
        image: Column that holds pictures, in the tables it will read; of a model that takes pictures.
        text: Column that holds texts.
        audio: Column that holds sounds; of a model that takes sounds.
        dims: Leading coordinates of the vectors to keep, for models trained so that these say the most (Matryoshka);
            None: what the folder says, or all.
        output: Folder to save the model in.
        overwrite: Replace a model that is there.

    Returns:
        The model.

    Raises:
        ValueError: The weights are not here, or are not those of such a model; ``dims`` beyond their width; or the
            folder is taken.
    """
    if not reference.startswith("hf:"):
        raise ValueError(f"a ready two-tower model is named hf:ID or hf:FOLDER, got {reference!r}")
    columns_of = {"image": image, "audio": audio, "text": text}
    _refuse_shared(columns_of, (("image", "text"), ("audio", "text")))
    check_output_free(output, resume=False, overwrite=overwrite)
    folder = locate(reference)
    with files_of(folder):
        space = read_space(folder)
    if len(space.kinds) > 1:
        _refuse_shared(columns_of, (space.kinds,))
    named = f"two-tower:{reference.removeprefix('hf:')}"
    modalities = tuple(Modality(columns_of[k], k, (columns_of[k],)) for k in (*space.kinds, "text"))
    inputs = Inputs(modalities, {}, {}, {}, {}, with_tokens=False, max_pixels=64_000_000, engine="auto")
    for modality in modalities:
        with files_of(folder):
            encoder, processor = load_encoder(named, modality.kind, None, LONGEST_TEXT)
        inputs.frozen[modality.name], inputs.processors[modality.name] = encoder, processor
        inputs.references[modality.name] = {
            "reference": named, "kind": modality.kind, "image_size": None, "max_length": LONGEST_TEXT,
            "fingerprint": encoder.fingerprint,
        }  # fmt: skip
    wide = inputs.frozen[text].vector_dim
    width = _kept(wide, dims, space.dims, reference)
    loss = "infonce" if space.bias is None else "siglip"
    config = PlaitConfig(
        modalities=[
            {"name": m.name, "kind": m.kind, "vector_dim": wide, "token_dim": None, "encoder": None} for m in modalities
        ],
        fusion={"name": "cosine", "width": width, "dropout": 0.0, "options": {"project": False}},
        head={"name": "towers", "dropout": 0.0, "options": {"loss": loss}},
        task="retrieval",
        num_outputs=1,
    )
    model = PlaitModel(config)
    assert isinstance(model.head, DualEncoderHead)
    with torch.no_grad():
        model.head.log_scale.fill_(min(math.log(space.scale), MAX_LOG_SCALE))
        model.head.bias.fill_(0.0 if space.bias is None else space.bias)
    model.train(False)
    reads = replace(EncoderSettings(text=named), **dict.fromkeys(space.kinds, named))
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


def _refuse_shared(columns_of: dict[str, str], pairs: Sequence[Sequence[str]]) -> None:
    for kind, other in pairs:
        if columns_of[kind] == columns_of[other]:
            raise ValueError(f"{kind} and {other} are both the column {columns_of[kind]!r}; name two columns")


def _kept(wide: int, asked: int | None, declared: int | None, reference: str) -> int:
    """How many coordinates are kept: what was asked for, else what the folder declares, else all."""
    if asked is not None and not 1 <= asked <= wide:
        raise ValueError(f"dims is {asked}; the vectors of {reference} are {wide} wide, so give 1 to {wide}")
    return min(wide, asked if asked is not None else declared if declared is not None else wide)
