"""A folder of open_clip as one of transformers: CLIP with a vision transformer, and SigLIP.

In: ``open_clip_config.json``, ``open_clip_model.safetensors`` and the tokenizer's files. Out: a folder with
``config.json``, ``model.safetensors`` under the names of transformers, the tokenizer, and ``plait_processors.json``:
how open_clip makes pixels of pictures and spells texts. It is made once and kept in the cache (decision 0009).
Architectures that transformers has under no name are refused by what they have.

Reference: Radford et al. 2021 (CLIP); Zhai et al. 2023 (SigLIP); Ilharco et al. 2021 (OpenCLIP).
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plait.files import cache_root, file_sha256
from plait.weights.converters.json_file import write_json
from plait.weights.folders import OPEN_CLIP_CONFIG, open_clip_weights
from plait.weights.tensor_file import RECEIPT, install, scratch_folder, store_tensors

if TYPE_CHECKING:
    from torch import Tensor

PROCESSORS_FILE = "plait_processors.json"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt", "special_tokens_map.json",
                   "vocab.txt", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model")  # fmt: skip
MOST_PIXELS = 4096  # of a side that an encoder sees
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # open_clip's defaults
VISION = {
    "layers": 12, "width": 768, "head_width": 64, "mlp_ratio": 4.0, "patch_size": 16, "image_size": 224,
    "ls_init_value": None, "attentional_pool": False, "no_ln_pre": False, "pos_embed_type": "learnable",
    "final_ln_after_pool": False, "pool_type": "tok", "act_kwargs": None, "norm_kwargs": None, "block_type": None,
    "qk_norm": False, "scaled_cosine_attn": False, "scale_heads": False, "scale_attn_inner": False, "scale_attn": False,
    "scale_fc": False, "timm_model_name": None, "timm_pool": "avg", "timm_proj": "linear",
}  # fmt: skip
TEXT = {
    "context_length": 77, "vocab_size": 49408, "hf_tokenizer_name": None, "tokenizer_mode": None,
    "tokenizer_kwargs": None, "width": 512, "heads": 8, "layers": 12, "mlp_ratio": 4.0, "ls_init_value": None,
    "embed_cls": False, "eos_id": 2, "no_causal_mask": False, "final_ln_after_pool": False, "pool_type": "argmax",
    "proj_bias": False, "proj_type": "linear", "act_kwargs": None, "norm_kwargs": None, "block_type": None,
    "qk_norm": False, "scaled_cosine_attn": False, "scale_heads": False, "scale_attn_inner": False, "scale_attn": False,
    "scale_fc": False, "hf_model_name": None,
}  # fmt: skip
PLAIN = ("ls_init_value", "block_type", "qk_norm", "scaled_cosine_attn", "scale_heads", "scale_attn_inner",
         "scale_attn", "scale_fc", "final_ln_after_pool")  # what both towers must not have  # fmt: skip
IGNORED = ("patch_dropout", "output_tokens", "timm_model_pretrained", "timm_drop", "timm_drop_path", "timm_proj_bias",
           "attn_pooler_queries", "attn_pooler_heads", "hf_model_pretrained", "hf_proj_type", "hf_pooler_type",
           "pad_id")  # no weight of the networks that are mapped hangs on these  # fmt: skip
BLOCK = {
    "ln_1": "layer_norm1", "ln_2": "layer_norm2", "attn.out_proj": "self_attn.out_proj", "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}  # fmt: skip
TIMM_BLOCK = {
    "norm1": "layer_norm1", "norm2": "layer_norm2", "attn.proj": "self_attn.out_proj", "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}  # fmt: skip
TIMM_POOL = {"proj": "attention.out_proj", "norm": "layernorm", "mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2"}
ACTIVATIONS = {"GELU": "gelu", "GELUTanh": "gelu_pytorch_tanh", "GeluTanh": "gelu_pytorch_tanh",
               "QuickGELU": "quick_gelu"}  # fmt: skip


def as_transformers(folder: Path) -> Path:
    """The folder of transformers that a folder of open_clip becomes, made at the first call.

    Raises:
        ValueError: An architecture, or a tokenizer, that cannot be mapped; or no tokenizer in the folder.
    """
    weights = open_clip_weights(folder)
    assert weights is not None
    files = [folder / OPEN_CLIP_CONFIG, *(folder / name for name in TOKENIZER_FILES), weights]
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.name}:{file_sha256(path) if path.is_file() else None}|".encode())
    ready = cache_root() / "weights" / f"open-clip--{digest.hexdigest()[:32]}"
    if (ready / RECEIPT).is_file():
        return ready
    with scratch_folder() as scratch:
        out = scratch / "out"
        out.mkdir()
        try:
            receipt = {"name": folder.name, **_convert(folder, weights, out)}
        except (KeyError, IndexError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
            what = f"its files do not fit together ({type(error).__name__}: {error})"
            raise _refusal(folder, what) from error
        (out / RECEIPT).write_text(json.dumps(receipt), encoding="utf-8")
        install(out, ready)
    return ready


def _convert(folder: Path, weights: Path, out: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    whole = json.loads((folder / OPEN_CLIP_CONFIG).read_text(encoding="utf-8"))
    model = whole.get("model_cfg", whole)
    vision, text = _filled(folder, model, "vision_cfg", VISION), _filled(folder, model, "text_cfg", TEXT)
    is_siglip = vision["timm_model_name"] is not None
    _check(folder, model, vision, text, is_siglip)
    given = _Taken({name.removeprefix("text."): tensor.float() for name, tensor in load_file(weights).items()})
    _copy_tokenizer(folder, text, out)
    if is_siglip:
        config, tensors = _siglip(folder, vision, text, given)
    else:
        config, tensors = _clip(model, vision, text, given)
    left = sorted(name for name in given.keys() - given.taken if not name.endswith("attn_mask"))  # a buffer of old
    if left:
        raise _refusal(folder, f"its weights hold {left[0]!r} ({len(left)} in all), which its configuration lacks")
    write_json(config, out / "config.json")
    write_json(_processors(folder, whole.get("preprocess_cfg") or {}, vision, text), out / PROCESSORS_FILE)
    return store_tensors(tensors, out)


class _Taken(dict[str, "Tensor"]):
    """Tensors by name, and the names that were asked for."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        super().__init__(tensors)
        self.taken: set[str] = set()

    def __getitem__(self, name: str) -> Tensor:
        found = super().__getitem__(name)
        self.taken.add(name)
        return found

    def get(self, name: str, otherwise: Any = None) -> Any:
        """The tensor, or what stands in for it."""
        return self[name] if name in self else otherwise


def _filled(folder: Path, model: dict[str, Any], key: str, defaults: dict[str, Any]) -> dict[str, Any]:
    given = model.get(key) or {}
    unknown = sorted(set(given) - set(defaults) - set(IGNORED))
    if unknown:
        raise _refusal(folder, f"{key} names {unknown[0]!r}, which is not known here")
    return {**defaults, **given}


def _check(
    folder: Path, model: dict[str, Any], vision: dict[str, Any], text: dict[str, Any], is_siglip: bool
) -> None:  # fmt: skip
    """Refuse whatever the two architectures of transformers do not have."""
    tokens = text["tokenizer_kwargs"] or {}
    is_resnet = isinstance(vision["layers"], list)
    counted = [text["layers"]] if is_resnet or is_siglip else [vision["layers"], text["layers"]]
    problems = {
        f"{counted} layers": any(not isinstance(n, int) or n < 1 for n in counted),
        "a ResNet as its vision tower": is_resnet,
        f"the text tower {text['hf_model_name']} of another library": text["hf_model_name"] is not None,
        "a second text decoder (CoCa)": model.get("multimodal_cfg") is not None or text["embed_cls"],
        "pooling by attention": vision["attentional_pool"],
        f"positions of the kind {vision['pos_embed_type']!r}": vision["pos_embed_type"] != "learnable",
        f"the tokenizer mode {text['tokenizer_mode']!r}": text["tokenizer_mode"] not in (None, ""),
        f"the tokenizer settings {sorted(set(tokens) - {'clean'})}": bool(set(tokens) - {"clean"}),
    }
    for side, settings in (("vision", vision), ("text", text)):
        problems |= {f"{name} in its {side} tower": bool(settings[name]) for name in PLAIN}
    if is_siglip:
        timm = vision["timm_model_name"]
        problems |= {
            f"the vision tower {timm} of timm, which is none of SigLIP": vision["timm_pool"] != "map"
            or vision["timm_proj"] not in ("none", "", None) or "siglip" not in timm,
            "a text tower that is none of SigLIP": not text["no_causal_mask"] or text["pool_type"] != "last",
        }  # fmt: skip
    else:
        problems |= {
            "a bias of its logits beside a CLIP tower": model.get("init_logit_bias") is not None,
            "a text tower without a causal mask": text["no_causal_mask"],
            f"a text tower pooled by {text['pool_type']!r}": text["pool_type"] != "argmax",
            "a text projection with a bias": text["proj_bias"] or text["proj_type"] != "linear",
            f"a vision tower pooled by {vision['pool_type']!r}": vision["pool_type"] != "tok",
            "no norm in front of its vision transformer": vision["no_ln_pre"],
            "pictures that are not square": isinstance(vision["image_size"], list)
            and len(set(vision["image_size"])) > 1,
        }
    found = next((what for what, is_there in problems.items() if is_there), None)
    if found is not None:
        raise _refusal(folder, f"it has {found}")


def _refusal(folder: Path, what: str) -> ValueError:
    return ValueError(
        f"the open_clip model in {str(folder)!r} cannot be read: {what}. CLIP with a vision transformer and SigLIP "
        "can. Take the same model in the layout of transformers (config.json beside its weights) where there is one, "
        "or make vectors with open_clip and give them as a vector column"
    )


def _clip(
    model: dict[str, Any], vision: dict[str, Any], text: dict[str, Any], given: dict[str, Tensor]
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """CLIP: a class token, and the token with the highest id."""
    quick = bool(model.get("quick_gelu"))
    width = int(vision["width"])
    tensors = {
        "vision_model.embeddings.class_embedding": given["visual.class_embedding"],
        "vision_model.embeddings.patch_embedding.weight": given["visual.conv1.weight"],
        "vision_model.embeddings.position_embedding.weight": given["visual.positional_embedding"],
        "visual_projection.weight": given["visual.proj"].T,
        "text_model.embeddings.token_embedding.weight": given["token_embedding.weight"],
        "text_model.embeddings.position_embedding.weight": given["positional_embedding"],
        "text_projection.weight": given["text_projection"].T,
        "logit_scale": given["logit_scale"].reshape(()),
    }
    norms = {"visual.ln_pre": "vision_model.pre_layrnorm", "visual.ln_post": "vision_model.post_layernorm",
             "ln_final": "text_model.final_layer_norm"}  # fmt: skip
    tensors |= dict(_renamed(given, norms))
    for prefix, tower, layers in (("visual.", "vision", vision["layers"]), ("", "text", text["layers"])):
        for layer in range(int(layers)):
            own, theirs = f"{tower}_model.encoder.layers.{layer}", f"{prefix}transformer.resblocks.{layer}"
            tensors |= dict(_renamed(given, {f"{theirs}.{k}": f"{own}.{v}" for k, v in BLOCK.items()}))
            tensors |= _split(given, f"{theirs}.attn.in_proj_", f"{own}.self_attn")
    patch = vision["patch_size"]
    config = {
        "model_type": "clip", "architectures": ["CLIPModel"], "projection_dim": int(model["embed_dim"]),
        "vision_config": {
            "hidden_size": width, "intermediate_size": int(width * vision["mlp_ratio"]),
            "num_hidden_layers": int(vision["layers"]), "num_attention_heads": width // int(vision["head_width"]),
            "image_size": _side(vision["image_size"]), "patch_size": _side(patch),
            "projection_dim": int(model["embed_dim"]), **_numerics(vision, quick),
        },
        "text_config": {  # 2: the position of the highest id, as open_clip finds it
            **_text_config(text), "eos_token_id": 2, "bos_token_id": 0, "projection_dim": int(model["embed_dim"]),
            **_numerics(text, quick),
        },
    }  # fmt: skip
    return config, tensors


def _siglip(
    folder: Path, vision: dict[str, Any], text: dict[str, Any], given: dict[str, Tensor]
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """SigLIP: timm's vision transformer with a pooling by attention, and the last token."""
    import torch

    trunk = _timm(folder, str(vision["timm_model_name"]))
    block, width = trunk.blocks[0], int(trunk.embed_dim)
    theirs, own, pool = "visual.trunk.", "vision_model.", "visual.trunk.attn_pool."
    tensors = dict(_renamed(given, {
        theirs + "patch_embed.proj": own + "embeddings.patch_embedding", theirs + "norm": own + "post_layernorm",
        **{pool + k: f"{own}head.{v}" for k, v in TIMM_POOL.items()}, "ln_final": "text_model.final_layer_norm",
    }))  # fmt: skip
    tensors[own + "embeddings.position_embedding.weight"] = given[theirs + "pos_embed"][0]
    tensors[own + "head.probe"] = given[pool + "latent"]
    for part in ("weight", "bias"):
        joined = torch.cat([given[f"{pool}q.{part}"], given[f"{pool}kv.{part}"]])
        tensors[f"{own}head.attention.in_proj_{part}"] = joined
    for layer in range(len(trunk.blocks)):
        ours, block_name = f"{own}encoder.layers.{layer}", f"{theirs}blocks.{layer}"
        tensors |= dict(_renamed(given, {f"{block_name}.{k}": f"{ours}.{v}" for k, v in TIMM_BLOCK.items()}))
        tensors |= _split(given, f"{block_name}.attn.qkv.", f"{ours}.self_attn")
    for layer in range(int(text["layers"])):
        ours, block_name = f"text_model.encoder.layers.{layer}", f"transformer.resblocks.{layer}"
        tensors |= dict(_renamed(given, {f"{block_name}.{k}": f"{ours}.{v}" for k, v in BLOCK.items()}))
        tensors |= _split(given, f"{block_name}.attn.in_proj_", f"{ours}.self_attn")
    tensors["text_model.embeddings.token_embedding.weight"] = given["token_embedding.weight"]
    tensors["text_model.embeddings.position_embedding.weight"] = given["positional_embedding"]
    head = given.get("text_projection.weight")
    if head is None:  # a matrix without a bias, or none at all
        plain = given.get("text_projection")
        head = torch.eye(int(text["width"])) if plain is None else plain.T
    tensors["text_model.head.weight"] = head
    tensors["text_model.head.bias"] = given.get("text_projection.bias", torch.zeros(len(head)))
    tensors["logit_scale"] = given["logit_scale"].reshape(1)
    tensors["logit_bias"] = given.get("logit_bias", torch.zeros(1)).reshape(1)
    named = type(block.mlp.act).__name__
    if named not in ACTIVATIONS:
        raise _refusal(folder, f"its vision tower has the activation {named}")
    config = {
        "model_type": "siglip", "architectures": ["SiglipModel"],
        "vision_config": {
            "hidden_size": width, "intermediate_size": int(block.mlp.fc1.out_features),
            "num_hidden_layers": len(trunk.blocks), "num_attention_heads": int(block.attn.num_heads),
            "image_size": _side(vision["image_size"]), "patch_size": int(trunk.patch_embed.patch_size[0]),
            "layer_norm_eps": float(block.norm1.eps), "hidden_act": ACTIVATIONS[named],
        },
        "text_config": {**_text_config(text), "projection_size": len(head), **_numerics(text, False)},
    }  # fmt: skip
    return config, tensors


def _timm(folder: Path, name: str) -> Any:
    """The architecture of a vision tower, without weights and memory."""
    import timm
    import torch

    if not timm.is_model(name):
        raise _refusal(folder, f"timm has no model {name!r}, its vision tower")
    with torch.device("meta"):
        return timm.create_model(name, pretrained=False, num_classes=0, global_pool="map")


def _renamed(given: dict[str, Tensor], names: dict[str, str]) -> Iterator[tuple[str, Tensor]]:
    for theirs, own in names.items():
        for part in ("weight", "bias"):
            if f"{theirs}.{part}" in given:
                yield f"{own}.{part}", given[f"{theirs}.{part}"]


def _split(given: dict[str, Tensor], theirs: str, own: str) -> dict[str, Tensor]:
    """Queries, keys and values, which lie in one tensor there."""
    return {
        f"{own}.{name}_proj.{part}": tensor
        for part in ("weight", "bias")
        for name, tensor in zip("qkv", given[theirs + part].chunk(3), strict=True)
    }


def _text_config(text: dict[str, Any]) -> dict[str, Any]:
    return {
        "vocab_size": int(text["vocab_size"]), "hidden_size": int(text["width"]),
        "intermediate_size": int(text["width"] * text["mlp_ratio"]), "num_hidden_layers": int(text["layers"]),
        "num_attention_heads": int(text["heads"]), "max_position_embeddings": int(text["context_length"]),
    }  # fmt: skip


def _numerics(tower: dict[str, Any], quick: bool) -> dict[str, Any]:
    is_tanh = (tower["act_kwargs"] or {}).get("approximate") == "tanh"
    act = "quick_gelu" if quick else "gelu_pytorch_tanh" if is_tanh else "gelu"
    return {"hidden_act": act, "layer_norm_eps": float((tower["norm_kwargs"] or {}).get("eps", 1e-5))}


def _side(size: Any) -> int:
    return int(size[0]) if isinstance(size, list) else int(size)


def _copy_tokenizer(folder: Path, text: dict[str, Any], out: Path) -> None:
    there = [folder / name for name in TOKENIZER_FILES if (folder / name).is_file()]
    names = {path.name for path in there}
    if not names & {
        "tokenizer.json",
        "vocab.txt",
        "spiece.model",
        "sentencepiece.bpe.model",
        "tokenizer.model",
    } and not ({"vocab.json", "merges.txt"} <= names):
        wanted = text["hf_tokenizer_name"] or "openai/clip-vit-base-patch32"
        raise ValueError(
            f"the open_clip folder {str(folder)!r} holds no tokenizer; put tokenizer.json and tokenizer_config.json of "
            f"{wanted} beside {OPEN_CLIP_CONFIG}"
        )
    for path in there:
        shutil.copyfile(path, out / path.name)


def _processors(
    folder: Path, pixels: dict[str, Any], vision: dict[str, Any], text: dict[str, Any]
) -> dict[str, Any]:  # fmt: skip
    """What open_clip does to pictures and texts."""
    size = pixels.get("size") or vision["image_size"]
    height, width = size if isinstance(size, list) else (size, size)
    default = "lower" if text["hf_tokenizer_name"] is None else "whitespace"
    values = {key: pixels.get(key) or usual for key, usual in (("mean", MEAN), ("std", STD))}
    given = {k: [float(x) for x in (v if isinstance(v, list | tuple) else [v] * 3)] for k, v in values.items()}
    filter_kind = pixels.get("interpolation") or "bicubic"
    if filter_kind not in ("bicubic", "bilinear"):
        raise _refusal(folder, f"it resizes pictures by {filter_kind!r}")
    if not all(0 < int(side) <= MOST_PIXELS for side in (height, width)):
        raise _refusal(folder, f"it takes pictures of {height} x {width} pixels")
    if not all(
        math.isfinite(v) for value in given.values() for v in (value if isinstance(value, list | tuple) else [value])
    ):
        raise _refusal(folder, "mean or std of its pixels is no number")
    return {
        "image": {
            "type": "pillow-image", "height": int(height), "width": int(width),
            **given,
            "interpolation": filter_kind,
            "mode": pixels.get("resize_mode") or "shortest", "fill": int(pixels.get("fill_color") or 0),
        },
        "text": {"spelling": (text["tokenizer_kwargs"] or {}).get("clean", default)},
    }  # fmt: skip
