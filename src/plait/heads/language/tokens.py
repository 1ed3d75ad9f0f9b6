"""Answers as token ids and back, losslessly in any script.

A decoder from scratch gets a byte-level BPE learned from the training answers: every script, sign and emoji can be
written, and Chinese comes back without spaces between its characters. A pretrained language model brings its own
tokenizer. Both are a ``tokenizers`` JSON text here, so that a model folder holds all it needs.

Reference: Sennrich, Haddow, Birch 2016 (BPE); Radford et al. 2019 (over bytes).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from tokenizers import Tokenizer

SPECIAL = ("<pad>", "<start>", "<end>")
WITHOUT_SPACES = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"


@dataclass(frozen=True)
class AnswerTokens:
    """How answers are cut into tokens.

    Attributes:
        tokenizer: JSON text of a ``tokenizers.Tokenizer``.
        pad: Id that fills short rows.
        start: Id in front of prompt and answer.
        end: Id that ends an answer.
        prompt: Ids between start and answer, the same for every row.
        lead: Text in front of every answer, taken off again when it is read back: a space where the tokenizer writes
            words with the space before them.
        max_tokens: Longest answer, the end included.
    """

    tokenizer: str
    pad: int
    start: int
    end: int
    prompt: tuple[int, ...] = ()
    lead: str = ""
    max_tokens: int = 40

    @cached_property
    def backend(self) -> Tokenizer:
        """The tokenizer; special tokens written out in an answer are ordinary text to it."""
        made = Tokenizer.from_str(self.tokenizer)
        made.encode_special_tokens = True
        made.no_truncation()
        made.no_padding()
        return made

    @property
    def num_tokens(self) -> int:
        """Size of the vocabulary."""
        return int(self.backend.get_vocab_size(with_added_tokens=True))

    def encode(self, answers: Sequence[str]) -> list[list[int]]:
        """Ids of each answer with the end after it; one longer than ``max_tokens`` is cut and has no end."""
        encoded = self.backend.encode_batch([self.lead + clean(a) for a in answers], add_special_tokens=False)
        return [[*e.ids, self.end][: self.max_tokens] for e in encoded]

    def num_cut(self, answers: Sequence[str]) -> int:
        """How many of these answers are longer than ``max_tokens``."""
        return sum(ids[-1] != self.end for ids in self.encode(answers))

    def decode(self, ids: Sequence[int]) -> str:
        """The text up to the end; bytes of a character that was cut off are left out."""
        kept = list(ids)
        if self.end in kept:
            kept = kept[: kept.index(self.end)]
        return self.backend.decode(kept, skip_special_tokens=True).strip("\ufffd").strip()

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """Each token as text by itself; the end is ``<end>``."""
        return [SPECIAL[2] if i == self.end else self.backend.decode([i], skip_special_tokens=False) for i in ids]

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {**asdict(self), "prompt": list(self.prompt)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> AnswerTokens:
        """From plain values."""
        return cls(**{**values, "prompt": tuple(int(i) for i in values["prompt"])})


def clean(answer: str) -> str:
    """An answer with single spaces and valid Unicode (a lone surrogate becomes a question mark)."""
    return " ".join(answer.encode("utf-8", "replace").decode("utf-8").split())


def fit_tokens(answers: Sequence[str], *, vocabulary: int, prompt: str = "", max_tokens: int = 40) -> AnswerTokens:
    """Learn a byte-level BPE from answers; in scripts without spaces a token is one character at most.

    Without words to stay within, pieces of a sentence would be joined at will: 7,500 Chinese captions gave 5,828
    tokens, most of them seen a few times, and a decoder that knew none of them well.

    Args:
        answers: Training answers, repetitions included.
        vocabulary: Most tokens; at least the 256 bytes and three marks. Pairs seen once are not merged.
        prompt: Text in front of every answer.
        max_tokens: Longest answer, in tokens.

    Raises:
        ValueError: A vocabulary of fewer than 300 tokens, or an answer length below 2.

    Example:
        >>> tokens = fit_tokens(["a dog", "\u4e00\u53ea\u72d7"], vocabulary=300)
        >>> tokens.decode(tokens.encode(["\u4e00\u53ea\u72d7"])[0])
        '\u4e00\u53ea\u72d7'
    """
    from tokenizers import Regex, decoders, models, pre_tokenizers, trainers

    if vocabulary < 300:
        raise ValueError(f"language.vocabulary must be 300 or more (256 of them are the bytes), got {vocabulary}")
    if max_tokens < 2:
        raise ValueError(f"language.max_tokens must be 2 or more (an answer and its end), got {max_tokens}")
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WITHOUT_SPACES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=2,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    made.train_from_iterator((" " + clean(a) for a in [*answers, prompt]), trainer)
    tokens = AnswerTokens(made.to_str(), 0, 1, 2, (), " ", max_tokens)
    ids = tokens.backend.encode(" " + clean(prompt), add_special_tokens=False).ids if prompt.strip() else []
    return AnswerTokens(tokens.tokenizer, 0, 1, 2, tuple(ids), " ", max_tokens)


def pretrained_tokens(tokenizer: Any, *, prompt: str = "", max_tokens: int = 40) -> AnswerTokens:
    """The tokenizer of a pretrained language model, with its own marks.

    Args:
        tokenizer: A fast tokenizer of transformers.
        prompt: Text in front of every answer, such as "Caption:".
        max_tokens: Longest answer, in tokens.

    Raises:
        ValueError: It is not a fast tokenizer, or has no end token.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise ValueError("this language model has no fast tokenizer (tokenizer.json); choose another one")
    end = tokenizer.eos_token_id
    if end is None:
        raise ValueError("the tokenizer of this language model has no end token (eos); choose another one")
    start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else end
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else end
    lead = " " if not prompt or (prompt[-1].isascii() and not prompt[-1].isspace()) else ""
    tokens = AnswerTokens(backend.to_str(), int(pad), int(start), int(end), (), lead, max_tokens)
    ids = tokens.backend.encode(prompt, add_special_tokens=False).ids if prompt else []
    return AnswerTokens(tokens.tokenizer, int(pad), int(start), int(end), tuple(ids), lead, max_tokens)
