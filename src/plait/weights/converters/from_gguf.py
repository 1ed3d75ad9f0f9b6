"""A language model in GGUF, the file format of llama.cpp, as an ordinary ``transformers`` folder.

In: one ``.gguf`` file with low-bit weights, tokenizer and chat template. Out: ``config.json``,
``generation_config.json``, ``model.safetensors`` in float32, the tokenizer's files and its chat template. The
arithmetic of the format is transformers' own (``gguf_file=``), and float32 keeps every value that it computes:
the loaded folder gives the same logits, bit by bit. Needs the package ``gguf``, for the conversion only.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

from plait.weights.converters.json_file import write_json
from plait.weights.quiet import quiet_transformers
from plait.weights.tensor_file import store_tensors

# What tells of the place, the version or the old format.
LEFT_OUT = ("quantization_config", "_model_name_or_path", "_name_or_path", "transformers_version")
TOKENIZER_LEFT_OUT = ("name_or_path", "gguf_file", "is_local", "local_files_only")


def gguf_to_folder(path: Path, out: Path) -> None:
    """Convert a GGUF language model.

    Args:
        path: The ``.gguf`` file.
        out: An existing folder; what ``AutoModelForCausalLM`` and ``AutoTokenizer`` need is written there.

    Raises:
        ValueError: The package gguf is missing, or the file cannot be read.
    """
    if importlib.util.find_spec("gguf") is None:
        raise ValueError(
            f"reading {path.name} needs the package gguf, once; type: pip install 'plait[lm]', then fetch again"
        )
    with quiet_transformers():
        _write_model(path, out)
        _write_tokenizer(path, out)


def _write_model(path: Path, out: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(
        str(path.parent), gguf_file=path.name, local_files_only=True, trust_remote_code=False, dtype="float32"
    )
    tensors = model.state_dict()
    if model.config.tie_word_embeddings:  # the output layer is the embedding; stored once
        tensors = {key: value for key, value in tensors.items() if not key.startswith("lm_head.")}
    store_tensors(tensors, out)
    facts = {key: value for key, value in model.config.to_diff_dict().items() if key not in LEFT_OUT}
    facts["architectures"] = [type(model).__name__]
    write_json(facts, out / "config.json")
    # Greedy by default, ending where the file says that an answer ends.
    ends = {key: getattr(model.config, key) for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
    write_json({key: value for key, value in ends.items() if value is not None}, out / "generation_config.json")


def _write_tokenizer(path: Path, out: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(
        str(path.parent), gguf_file=path.name, local_files_only=True, trust_remote_code=False
    )
    tokenizer.save_pretrained(str(out))
    settings = json.loads((out / "tokenizer_config.json").read_text(encoding="utf-8"))
    for key in TOKENIZER_LEFT_OUT:
        settings.pop(key, None)
    limit = json.loads((out / "config.json").read_text(encoding="utf-8")).get("max_position_embeddings")
    if limit is not None:
        settings["model_max_length"] = limit
    write_json(settings, out / "tokenizer_config.json")
