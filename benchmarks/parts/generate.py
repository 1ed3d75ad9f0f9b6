"""Writing beside ``transformers.generate`` on the same language model: greedy, from the same embeddings."""

from __future__ import annotations

from generation_speed import ways_to_write
from parts.part import Asked, Measured
from turns import in_turns


def generate(asked: Asked) -> list[Measured]:
    """One line: all that the head does, with the probabilities of what it wrote."""
    model, (batch, prefix, tokens) = "scratch", (4, 8, 4) if asked.quick else (8, 32, 24)
    ways = ways_to_write(model, batch, prefix, tokens)
    peer, _, own = ways
    turns = in_turns({own: ways[own], peer: ways[peer]}, asked.repeats)
    pairs = [
        (a, b)
        for mine, theirs in zip(turns.results[own], turns.results[peer], strict=True)
        for a, b in zip(mine, theirs, strict=True)
    ]
    same = {"same tokens": sum(a == b for a, b in pairs) / len(pairs)}
    setting = (
        f"a decoder of 4 layers of 256, {batch} rows, {prefix} prefix tokens, {tokens} written, {asked.threads} threads"
    )
    return [Measured("generate", own, peer, "random prefixes", setting, turns, same)]
