"""Tokens a second of the generator head against ``transformers.generate`` on the same language model, in one process.

Both read prefixes of the same length and write the same number of tokens, greedily, with the key-value cache, in turns;
the median of the turns is told. Plait's number includes fused tokens to embeddings and the probabilities of what was
written. Without an accelerator CPU time is measured (of all threads): a busy machine does not change it.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from transformers import GenerationConfig

from measure import table
from plait.fusion.base import EncodedDims, FusionOutput
from plait.heads.generate import GenerateHead
from plait.heads.language import DecodeOptions, describe_language_model, fit_tokens, write_answers
from plait.heads.language.network import load_pretrained, scratch_config
from plait.heads.language.tokens import pretrained_tokens

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
    return head.eval()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="scratch", help="scratch, smollm2-135m or hf:FOLDER")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--prefix", type=int, default=50, help="fused tokens a row")
    parser.add_argument("--tokens", type=int, default=32, help="tokens to write")
    parser.add_argument("--turns", type=int, default=5)
    given = parser.parse_args()
    head = head_of(given.model)
    fused = FusionOutput(torch.zeros(given.batch, WIDTH), tokens=torch.randn(given.batch, given.prefix, WIDTH))
    options = DecodeOptions(max_new_tokens=given.tokens)
    config = GenerationConfig(max_new_tokens=given.tokens, do_sample=False, use_cache=True, pad_token_id=0)
    with torch.no_grad():
        prefix_BPH, mask_BP = head.prefix(fused)

    def theirs() -> None:
        with torch.no_grad():
            head.lm.generate(inputs_embeds=prefix_BPH, attention_mask=mask_BP.long(), generation_config=config)

    def search() -> None:
        write_answers(head.lm, prefix_BPH, mask_BP, options, pad=0, end=None)

    ways: dict[str, Callable[[], object]] = {
        "transformers.generate": theirs,
        "Plait, search alone": search,
        "Plait, embeddings + search + probabilities": lambda: head.write(fused, options),
    }
    clock = time.perf_counter if torch.cuda.is_available() else time.process_time
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(given.turns + 1):
        for name, way in ways.items():
            started = clock()
            way()
            if turn:  # the first turn warms up
                seconds[name].append(clock() - started)
    written = given.batch * given.tokens
    rate = {name: written / statistics.median(s) for name, s in seconds.items()}
    base = rate["transformers.generate"]
    print(
        f"{given.model}: {given.batch} rows, {given.prefix} prefix tokens, {given.tokens} written, "
        f"{given.turns} turns, {'CPU time' if clock is time.process_time else 'wall time'}\n"
    )
    table(["way", "tokens a second, median", "times transformers.generate"],
          [[name, f"{r:.0f}", f"{r / base:.2f}"] for name, r in rate.items()])  # fmt: skip


if __name__ == "__main__":
    main()
