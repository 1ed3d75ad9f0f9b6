"""One kind of input of a network that takes several by one method: EmbeddingGemma 2, Qwen2-VL and their like.

In: the tensors of a :class:`plait.processors.JointProcessor`. Out: one vector an item and no tokens: what the method
gives, pooled over the real tokens, and what the sentence-transformers folder puts behind it. Networks whose own methods
give one vector a kind (CLIP) are those of :mod:`plait.encoders.dual_encoder`.

Reference: Reimers and Gurevych 2019, "Sentence-BERT", section 3 (pooling).
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn

from plait.encoders.base import ENCODERS, Encoded, Encoder
from plait.encoders.checkpoint import is_random, new_hf_model, read_hf_model, refuse_random
from plait.encoders.probe import probed_widths
from plait.encoders.routes import Route
from plait.encoders.sentence import build_behind, fill_behind, follow, pool
from plait.processors.joint import JointProcessor

OTHERS = {
    "image": ("vision_tower", "embed_vision", "visual", "vision_model", "multi_modal_projector"),
    "audio": ("audio_tower", "embed_audio", "audio_model"),
}  # parts of a whole network that no other kind of input comes by


class JointEncoder(Encoder):
    """A network of ``transformers``, asked for one kind of input, with a pooling and modules behind it.

    Args:
        model: The model, whole; parts that only other kinds come by are dropped.
        description: JSON config with ``hf``, ``kind``, ``method``, ``output`` (names that lead to a tensor),
            ``pooling`` (None where that is a vector already) and ``modules``.
        example: What its processor makes of an item; None: the width is read from ``description``.

    Raises:
        ValueError: The model cannot encode such an item.
    """

    def __init__(self, model: nn.Module, description: dict[str, Any], example: dict[str, Tensor] | None = None) -> None:
        super().__init__(description)
        self.kind, self.pooling = str(description["kind"]), description["pooling"]
        for kind, names in OTHERS.items():
            for name in names if kind != self.kind else ():
                if isinstance(getattr(model, name, None), nn.Module):
                    setattr(model, name, nn.Identity())
        self.model = model
        self.behind = build_behind(description["modules"])
        signature = inspect.signature(getattr(model, description["method"])).parameters.values()
        takes_any = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in signature)
        self.takes = None if takes_any and description["method"] == "forward" else {one.name for one in signature}
        self.token_dim = None
        if example is not None:
            self.vector_dim, _ = probed_widths(self, **example)
            self.description["vector_dim"] = self.vector_dim
        self.vector_dim = int(self.description["vector_dim"])

    def forward(self, **inputs: Tensor) -> Encoded:
        """Encode what the processor gave, [B, ...]."""
        given = {name: t for name, t in inputs.items() if self.takes is None or name in self.takes}
        if "image_grid_thw" in given:  # patches of all pictures in one row, as these networks want them
            grid_B3 = given["image_grid_thw"]
            counts = grid_B3.prod(-1).tolist()
            rows = zip(given["pixel_values"], counts, strict=True)
            given["pixel_values"] = torch.cat([row[:count] for row, count in rows])
        found: Any = getattr(self.model, self.description["method"])(**given, return_dict=True)
        for name in self.description["output"]:
            found = found[name] if isinstance(name, int) else getattr(found, name)
        if self.pooling is None:
            return Encoded(self.behind(found), None, None)
        tokens_BTD = found.flatten(2).transpose(1, 2) if found.ndim == 4 else found
        mask_BT = inputs.get("attention_mask")
        if mask_BT is None or mask_BT.shape != tokens_BTD.shape[:2]:  # patches of a picture: all of them are real
            mask_BT = torch.ones(tokens_BTD.shape[:2], device=tokens_BTD.device)
        return Encoded(self.behind(pool(self.pooling, tokens_BTD, mask_BT.bool())), None, None)


def load_joint(
    folder: Any, route: Route, reference: str, kind: str, *, prompt: str, max_length: int, max_seconds: float
) -> tuple[JointEncoder, JointProcessor]:
    """Load one kind of input of a sentence-transformers folder, and what feeds it.

    Args:
        folder: The folder.
        route: What it does with this kind.
        reference: What the user typed.
        kind: "text", "image" or "audio".
        prompt: Before every text.
        max_length: Most tokens of a text.
        max_seconds: Longest sound.

    Raises:
        ValueError: Weights that are used are missing, or modules that are not followed.
    """
    pooling, steps, weights = follow(folder, list(route.behind), None if route.gives_vector else "mean")
    model, config = read_hf_model(route.network)
    places = (config.get("vision_config") or {}).get("position_embedding_size")
    processor = JointProcessor(
        route.network, kind, message=route.message, prompt=prompt, options=route.options, max_length=max_length,
        max_seconds=max_seconds, most_places=places if kind == "image" else None,
    )  # fmt: skip
    description = {
        "type": "joint", "reference": reference, "hf": config, "kind": kind, "method": route.method,
        "output": list(route.output), "pooling": pooling, "modules": steps,
    }  # fmt: skip
    encoder = JointEncoder(_encoder_of(model), description, processor.example)
    if steps:
        fill_behind(encoder.behind, weights, folder)
    refuse_random(encoder, folder)
    return encoder, processor


def build_joint(config: dict[str, Any]) -> JointEncoder:
    """Rebuild from ``config()``, without weights."""
    model = new_hf_model(config["hf"])
    return JointEncoder(_encoder_of(model), {key: value for key, value in config.items() if key != "tuning"})


def _encoder_of(model: Any) -> nn.Module:
    """The encoder of a model that has a decoder too; without the pooler of one that has none, which is not used."""
    if getattr(model.config, "is_encoder_decoder", False):
        return model.get_encoder()  # type: ignore[no-any-return]
    pooler = getattr(model, "pooler", None)
    if isinstance(pooler, nn.Module) and is_random(pooler):
        model.pooler = None
    return model  # type: ignore[no-any-return]


ENCODERS.add("joint", build_joint)
