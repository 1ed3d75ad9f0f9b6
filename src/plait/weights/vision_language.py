"""Vision-language models by reference: the network and its processor, from this machine only.

In: ``hf:ID_or_folder``, a model of ``AutoModelForImageTextToText`` that writes on behind a picture and a text (SmolVLM,
Qwen-VL, LLaVA, PaliGemma, Gemma), stored as safetensors. Out: the model in evaluation mode and its processor. No
network, no remote code, nothing unpickled.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from plait.data.memory import require_weights
from plait.files import file_sha256
from plait.registry import first_line
from plait.weights.language import read_whole
from plait.weights.library import locate
from plait.weights.quiet import quiet_transformers

DTYPES = ("auto", "float32", "bfloat16", "float16")
EXAMPLES = "smolvlm, qwen2_vl, llava, paligemma or gemma3"
READ_FILES = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")  # what a load of a checkpoint may depend on
Loaded = tuple[Any, Any]


def load_vision_language(reference: str, dtype: str = "auto") -> Loaded:
    """Load a vision-language model and its processor.

    Args:
        reference: ``hf:ID_or_folder``.
        dtype: Number type of the weights in memory; "auto": as they are stored.

    Returns:
        The model, in evaluation mode, and the processor, which pads on the left.

    Raises:
        ValueError: Not a vision-language model, not on this machine, damaged, without safetensors, or one that needs
            code of its own; the message says what was found.

    Example:
        >>> model, processor = load_vision_language("hf:./smolvlm")  # doctest: +SKIP
    """
    if not reference.startswith("hf:"):
        advice = f"; type hf:{reference}" if Path(reference).expanduser().is_dir() else ""
        raise ValueError(f"a vision-language model is named hf:ID or hf:FOLDER, got {reference!r}{advice}")
    if dtype not in DTYPES:
        raise ValueError(f"dtype is {dtype!r}; expected one of {', '.join(DTYPES)}")
    folder = locate(reference)
    kind = model_type(folder)
    if not is_vision_language(kind):
        raise ValueError(
            f"{str(folder)!r} holds a model of type {kind!r}, which writes no text about pictures; expected one of "
            f"transformers' AutoModelForImageTextToText, such as {EXAMPLES}"
        )
    if not any(folder.glob("*.safetensors")):
        raise ValueError(f"{str(folder)!r} holds no safetensors file, and Plait reads no other weights")
    require_weights(folder.glob("*.safetensors"), reference)
    processor = _read_processor(folder)
    return _read_model(folder, dtype), processor


def model_type(folder: Path) -> str | None:
    """What ``config.json`` of a folder calls its model; None where it says nothing."""
    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None


def is_vision_language(kind: str | None) -> bool:
    """Whether transformers builds a model of this type that writes text behind a picture and a text."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    return kind in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES


def checkpoint_fingerprint(reference: str) -> str:
    """sha256 over the names and contents of the files that a load of a checkpoint may depend on."""
    folder, digest = locate(reference), hashlib.sha256()
    paths = sorted({path for pattern in READ_FILES for path in folder.glob(pattern)})
    for path in paths:
        digest.update(f"{path.name}|{file_sha256(path)}|".encode())
    return digest.hexdigest()


def _read_model(folder: Path, dtype: str) -> Any:
    from transformers import AutoModelForImageTextToText

    model = read_whole(AutoModelForImageTextToText, folder, dtype, "vision-language model")
    if model.config.is_encoder_decoder:
        raise ValueError(
            f"{str(folder)!r} holds {type(model).__name__}, an encoder and a decoder; Plait asks models that write on "
            f"behind picture and text, such as {EXAMPLES}"
        )
    return model


def _read_processor(folder: Path) -> Any:
    from transformers import AutoProcessor

    with quiet_transformers():
        try:
            processor = AutoProcessor.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
        except (OSError, ValueError, KeyError, TypeError, ImportError, AttributeError) as error:
            raise ValueError(f"no processor could be read from {str(folder)!r}: {first_line(error)}") from error
    tokenizer = getattr(processor, "tokenizer", None)
    if tokenizer is None or getattr(processor, "image_processor", None) is None:
        raise ValueError(
            f"{str(folder)!r} has no processor of pictures and texts, only {type(processor).__name__}; copy the "
            "checkpoint's processor_config.json, preprocessor_config.json and tokenizer files there"
        )
    tokenizer.padding_side = "left"
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.pad_token_id is None:
        raise ValueError(f"the tokenizer in {str(folder)!r} has neither a padding token nor an end token; add one")
    return processor
