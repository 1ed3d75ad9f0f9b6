"""Writing answers: greedy, beams, sampling, or within a list; and the probability of what was written.

In: the embeddings of a prefix [B, P, H] and which of them are real. Out: token ids with their log-probabilities. The
search itself is ``transformers.generate`` with its key-value cache. Greedy search hands the probabilities of its tokens
over; after any other they are measured in one pass over the whole answer, so they are the model's own, whatever
temperature or list found it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from plait.heads.language.answers import Trie


@dataclass(frozen=True)
class DecodeOptions:
    """How an answer is searched.

    Attributes:
        beams: Beams, 1 or more; 1 takes the likeliest next token (greedy).
        length_penalty: With beams, a finished answer counts its log-probability over its length to this power; above
            0 favours long answers.
        max_new_tokens: Most tokens, the end included.
        temperature: Sample, with logits over this number; None does not sample.
        top_p: Sample from the fewest tokens with this much probability together, in (0, 1]; None: from all.
        seed: Seed of sampling.

    Raises:
        ValueError: A number out of range, or beams and sampling together.

    Reference: Wu et al. 2016 (length penalty); Holtzman et al. 2020 (top-p).
    """

    beams: int = 1
    length_penalty: float = 1.0
    max_new_tokens: int = 40
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        for name in ("beams", "max_new_tokens"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name} must be a whole number, 1 or more; got {value!r}")
        if self.temperature is not None and not 0 < self.temperature < float("inf"):
            raise ValueError(f"temperature must be above 0, got {self.temperature}; leave it out to not sample")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, got {self.top_p}")
        if self.samples and self.beams > 1:
            raise ValueError(f"sampling (temperature, top_p) and beams={self.beams} exclude each other; choose one")

    @property
    def samples(self) -> bool:
        """Whether tokens are drawn."""
        return self.temperature is not None or self.top_p is not None


@dataclass
class Written:
    """What was written for a batch.

    Attributes:
        ids: Token ids of each row, the end included where it was written.
        log_probabilities: Natural log of each token's probability, given all before it.
    """

    ids: list[list[int]]
    log_probabilities: list[list[float]]


def write_answers(
    model: nn.Module,
    prefix_BPH: Tensor,
    mask_BP: Tensor,
    options: DecodeOptions,
    *,
    pad: int,
    end: int,
    trie: Trie | None = None,
) -> tuple[list[list[int]], list[list[float]] | None]:
    """Write an answer after each prefix.

    Args:
        model: A causal language model of transformers, in evaluation mode.
        prefix_BPH: Embeddings to go on from; the last one of each row is real.
        mask_BP: Which of them are real.
        options: How to search.
        pad: Padding token.
        end: End token.
        trie: Allowed answers, or None for any.

    Returns:
        Token ids of each row, up to its end; and of plain greedy search the natural log-probability of each, which
        costs nothing there (None: to be measured).
    """
    from transformers import GenerationConfig, LogitsProcessorList

    seen = _Seen() if options.beams == 1 and not options.samples and trie is None else None
    allowed = None if trie is None else (lambda row, ids: trie.allowed(ids.tolist()))
    sampling = {"temperature": options.temperature or 1.0, "top_p": options.top_p or 1.0, "top_k": 0}
    search = {"length_penalty": options.length_penalty} if options.beams > 1 else {}
    config = GenerationConfig(
        max_new_tokens=options.max_new_tokens, num_beams=options.beams, do_sample=options.samples, use_cache=True,
        pad_token_id=pad, eos_token_id=end, bos_token_id=None, **search, **(sampling if options.samples else {}),
    )  # fmt: skip
    with seeded(options.seed if options.samples else None), torch.no_grad():
        made: Tensor = _any(model).generate(
            inputs_embeds=prefix_BPH, attention_mask=mask_BP.long(), generation_config=config,
            prefix_allowed_tokens_fn=allowed, logits_processor=LogitsProcessorList([seen] if seen is not None else []),
        )  # fmt: skip
    rows = [ids[: ids.index(end) + 1] if end in ids else ids for ids in made.tolist()]
    if seen is None:
        return rows, None
    logs = seen.logs_of(made).tolist()
    return rows, [row_logs[: len(ids)] for row_logs, ids in zip(logs, rows, strict=True)]


class _Seen:
    """Looks on while a greedy search goes its way, and keeps the log-probability of each token that it takes."""

    def __init__(self) -> None:
        self.last_BV: Tensor | None = None
        self.taken: list[Tensor] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Called by transformers with what is written so far and the logits of what comes next."""
        if self.last_BV is not None:
            self.taken.append(self.last_BV.gather(1, input_ids[:, -1:]))
        self.last_BV = torch.log_softmax(scores.float(), dim=1)
        return scores

    def logs_of(self, made_BL: Tensor) -> Tensor:
        """Log-probabilities [B, L] of the whole answer."""
        assert self.last_BV is not None
        return torch.cat([*self.taken, self.last_BV.gather(1, made_BL[:, -1:])], dim=1)


def _any(model: nn.Module) -> Any:
    return model


@contextlib.contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """Draw from this seed, and leave the generator as it was."""
    if seed is None:
        yield
        return
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
