"""Causal language models by reference: the network and its tokenizer, from this machine only.

In: ``smollm2-135m`` (``plait weights fetch smollm2-135m``) or ``hf:ID_or_folder``, any model of
``AutoModelForCausalLM`` stored as safetensors. Out: the model in evaluation mode and its tokenizer, with a
padding token. No network, no remote code, nothing unpickled.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from plait.data.memory import require_weights
from plait.registry import first_line
from plait.weights.library import locate
from plait.weights.quiet import quiet_transformers
from plait.weights.records import RECORDS

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def load_language_model(reference: str, dtype: str = "float32") -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a causal language model and its tokenizer.

    Args:
        reference: ``smollm2-135m`` or another name of kind "language" in ``plait weights ls``, or
            ``hf:ID_or_folder``.
        dtype: Number type of the weights in memory: "float32", "bfloat16" or "float16".

    Returns:
        The model, in evaluation mode, and the tokenizer; its ``pad_token`` is set.

    Raises:
        ValueError: Not a language model, not on this machine, damaged, without safetensors, or one that needs
            code of its own; the message says what to type.

    Example:
        >>> model, tokenizer = load_language_model("smollm2-135m")  # doctest: +SKIP
    """
    import torch
    from transformers import AutoModelForCausalLM

    names = [name for name in RECORDS if RECORDS.get(name).kind == "language"]
    if reference not in names and not reference.startswith("hf:"):
        raise ValueError(
            f"{reference!r} is not a language model; expected one of {', '.join(names)}, or hf:ID_or_folder"
        )
    types = ("float32", "bfloat16", "float16")
    if dtype not in types:
        raise ValueError(f"dtype is {dtype!r}; expected one of {', '.join(types)}")
    folder = locate(reference)
    model = read_whole(AutoModelForCausalLM, folder, getattr(torch, dtype), "language model")
    return model, _read_tokenizer(folder)


def read_whole(kind: Any, folder: Path, dtype: object, what: str) -> PreTrainedModel:
    """A model of a checkpoint with all of its weights, in evaluation mode; no network, no code of the folder.

    Args:
        kind: One of transformers' classes such as ``AutoModelForCausalLM``.
        folder: The checkpoint.
        dtype: Of the weights in memory.
        what: What it is, for messages ("language model").

    Raises:
        ValueError: It cannot be loaded, or weights are missing or of another shape.
    """
    require_weights(folder.glob("*.safetensors"), str(folder))
    with quiet_transformers():
        try:
            model, report = kind.from_pretrained(
                str(folder),
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
                dtype=dtype,
            )
        except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
            raise ValueError(f"no {what} could be loaded from {str(folder)!r}: {first_line(error)}") from error
    faults = [*sorted(report["missing_keys"]), *(str(key) for key in report["mismatched_keys"])]
    if faults:
        raise ValueError(
            f"the file in {str(folder)!r} does not hold all weights of {type(model).__name__}: "
            f"{len(faults)} missing or of another shape ({', '.join(faults[:3])})"
        )
    whole: PreTrainedModel = model.eval()
    return whole


def _read_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer

    with quiet_transformers():
        try:
            tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
        except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
            raise ValueError(f"no tokenizer could be read from {str(folder)!r}: {first_line(error)}") from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.pad_token_id is None:
        raise ValueError(f"the tokenizer in {str(folder)!r} has neither a padding token nor an end token; add one")
    return tokenizer
