"""Tokens a second of the generator head against ``transformers.generate`` on the same language model, in one process.

Both read prefixes of the same length and write the same number of tokens, greedily, with the key-value cache, in turns;
the median of the turns is told. Plait's number includes fused tokens to embeddings and the probabilities of what was
written. Without an accelerator CPU time is measured (of all threads): a busy machine does not change it.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from typing import Any

import torch
from transformers import GenerationConfig

from measure import table
from plait.fusion.base import EncodedDims, FusionOutput
from plait.heads.generate import GenerateHead
from plait.heads.language import DecodeOptions, describe_language_model, fit_tokens, write_answers
from plait.heads.language.network import load_pretrained, scratch_config
from plait.heads.language.tokens import pretrained_tokens
from turns import in_turns

WIDTH = 256


def head_of(reference: str) -> GenerateHead:
    """A head on a scratch decoder of the default size, or on a pretrained language model."""
    torch.manual_seed(0)
    if reference == "scratch":
        tokens = fit_tokens(["a dog runs on the grass"], vocabulary=300)
        config = scratch_config(4000, width=256, layers=4, heads=4, dropout=0.0)
    else:
        model, tokenizer = load_pretrained(reference)
        tokens, config = pretrained_tokens(tokenizer), model.config.to_dict()
    head = GenerateHead([EncodedDims(4)], WIDTH, 1, language=describe_language_model(config, tokens, tuning="full"))
    if reference != "scratch":
        head.lm.load_state_dict(model.state_dict())
    head.language["end"] = None  # nothing ends early: all write the same number of tokens
    head.lm.generation_config.eos_token_id = None  # which generate takes where it is given none
    return head.eval()


def ways_to_write(model: str, batch: int, prefix: int, tokens: int) -> dict[str, Callable[[], Any]]:
    """The language model's own ``generate``, Plait's search, and all that the head does; each writes the same tokens.

    Args:
        model: As for ``head_of``.
        batch: Rows.
        prefix: Fused tokens a row.
        tokens: Tokens to write.
    """
    head = head_of(model)
    fused = FusionOutput(torch.zeros(batch, WIDTH), tokens=torch.randn(batch, prefix, WIDTH))
    options = DecodeOptions(max_new_tokens=tokens)
    config = GenerationConfig(max_new_tokens=tokens, do_sample=False, use_cache=True, pad_token_id=0)
    with torch.no_grad():
        prefix_BPH, mask_BP = head.prefix(fused)

    def theirs() -> list[list[int]]:
        with torch.no_grad():
            made = head.lm.generate(inputs_embeds=prefix_BPH, attention_mask=mask_BP.long(), generation_config=config)
        return made.tolist()

    return {
        "transformers.generate": theirs,
        "Plait, search alone": lambda: write_answers(head.lm, prefix_BPH, mask_BP, options, pad=0, end=None)[0],
        "Plait, embeddings + search + probabilities": lambda: head.write(fused, options).ids,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="scratch", help="scratch, smollm2-135m or hf:FOLDER")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--prefix", type=int, default=50, help="fused tokens a row")
    parser.add_argument("--tokens", type=int, default=32, help="tokens to write")
    parser.add_argument("--turns", type=int, default=5)
    given = parser.parse_args()
    ways = ways_to_write(given.model, given.batch, given.prefix, given.tokens)
    turns = in_turns(ways, given.turns)
    on_clock = torch.cuda.is_available()
    seconds = turns.seconds if on_clock else turns.cpu
    written = given.batch * given.tokens
    rate = {name: written / statistics.median(s) for name, s in seconds.items()}
    base = rate["transformers.generate"]
    print(
        f"{given.model}: {given.batch} rows, {given.prefix} prefix tokens, {given.tokens} written, "
        f"{given.turns} turns, {'wall time' if on_clock else 'CPU time'}\n"
    )
    table(["way", "tokens a second, median", "times transformers.generate"],
          [[name, f"{r:.0f}", f"{r / base:.2f}"] for name, r in rate.items()])  # fmt: skip


if __name__ == "__main__":
    main()
