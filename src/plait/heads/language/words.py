"""Which words the tokens of a written answer make: cut before spaces, and by character where a script writes none."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from plait.heads.language.tokens import AnswerTokens

CHARACTER = re.compile(
    "[\u0e00-\u0edf\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
UNFINISHED = "\ufffd"  # bytes of a character that goes on in the next token


def words_of(tokens: AnswerTokens, ids: Sequence[int]) -> tuple[list[str], np.ndarray]:
    """Words of an answer.

    Args:
        tokens: How answers are cut.
        ids: Its tokens; the end, where it was written, is a word of its own, "<end>".

    Returns:
        The words [W], and the word of each token [T].

    Example:
        >>> from plait.heads.language import fit_tokens
        >>> tokens = fit_tokens(["a red circle", "a blue square"], vocabulary=300)
        >>> words_of(tokens, tokens.encode(["a red square"])[0])[0]
        ['a', 'red', 'square', '<end>']
    """
    pieces = tokens.pieces(ids)
    groups: list[list[int]] = []
    word_T, is_finished = [], True
    for token, piece in zip(ids, pieces, strict=True):
        starts = piece[:1].isspace() or bool(CHARACTER.match(piece.lstrip())) or piece.startswith(UNFINISHED)
        after_mark = bool(groups) and CHARACTER.match(_text(tokens, groups[-1])[-1:]) is not None
        is_blank = bool(groups) and not _text(tokens, groups[-1]).strip()
        if not groups or token == tokens.end or (is_finished and not is_blank and (starts or after_mark)):
            groups.append([])
        groups[-1].append(int(token))
        word_T.append(len(groups) - 1)
        is_finished = token == tokens.end or not _text(tokens, groups[-1]).endswith(UNFINISHED)
    return [_name(tokens, group) for group in groups], np.array(word_T, dtype=np.int64)


def _text(tokens: AnswerTokens, ids: list[int]) -> str:
    return str(tokens.backend.decode(ids, skip_special_tokens=False))


def _name(tokens: AnswerTokens, group: list[int]) -> str:
    return tokens.pieces(group)[0] if group == [tokens.end] else _text(tokens, group).strip()
