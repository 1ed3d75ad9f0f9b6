"""The finding of ``plait check`` on texts that the encoder of a fit cannot read: its tokenizer alone is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plait.data.checks.finding import Finding
from plait.data.schema import Schema
from plait.data.table import Table
from plait.settings import EncoderSettings

if TYPE_CHECKING:
    from tokenizers import Tokenizer

CODE, TITLE = "P061", "texts that the encoder knows"
MUCH_UNKNOWN = 0.1  # share of unknown tokens of a text column from which it is warned
MOST_LOOKED_AT = 500  # texts


def known_letters_finding(table: Table, schema: Schema, settings: EncoderSettings | None = None) -> Finding:
    """Whether the vocabulary of each text encoder that a fit would take has the words and letters of its column.

    Args:
        table: The rows.
        schema: Its columns.
        settings: The encoders; None: those of a fit without a word.
    """
    chosen = settings or EncoderSettings()
    told, shares = [], {}
    for name in [m.columns[0] for m in schema.modalities if m.kind == "text"]:
        reference = chosen.columns.get(name, chosen.text)
        tokenizer = _tokenizer(reference) if isinstance(reference, str) else None
        texts = [cell for cell in table.column(name) if isinstance(cell, str) and cell.strip()]
        if tokenizer is None or not texts:
            continue
        evenly = np.linspace(0, len(texts) - 1, min(len(texts), MOST_LOOKED_AT)).astype(np.int64)
        shares[name] = unknown_share(tokenizer, [texts[i] for i in evenly])
        if shares[name] >= MUCH_UNKNOWN:
            told.append(f"{reference} does not know {shares[name]:.0%} of the words and letters of column {name!r}")
    if told:
        advice = "texts that differ look alike to it; a fit may take set=['encoders.text=e5-small-multilingual']"
        return Finding(CODE, "warning", TITLE, f"{'; '.join(told)}; {advice}", [])
    if not shares:
        return Finding(CODE, "n/a", TITLE, "no text column, or its tokenizer is not on this machine", [])
    return Finding(CODE, "ok", TITLE, f"at most {max(shares.values()):.0%} of the words and letters are unknown", [])


def unknown_share(tokenizer: Tokenizer, texts: list[str]) -> float:
    """Share of the tokens of some texts that the vocabulary lacks, in [0, 1]; 0 where it can spell everything."""
    unknown = tokenizer.token_to_id(str(getattr(tokenizer.model, "unk_token", None)))
    if unknown is None:
        return 0.0
    rows = [encoded.ids for encoded in tokenizer.encode_batch(texts, add_special_tokens=False)]
    return sum(row.count(unknown) for row in rows) / max(1, sum(map(len, rows)))


def _tokenizer(reference: str) -> Tokenizer | None:
    """The tokenizer of an encoder, where its weights lie on this machine; None: they do not, or it has none."""
    from plait.weights import locate
    from plait.weights.library import check_encoder_there

    try:
        check_encoder_there(reference)
        file = locate(reference) / "tokenizer.json"
    except ValueError:
        return None
    if not file.is_file():
        return None
    from tokenizers import Tokenizer

    made = Tokenizer.from_file(str(file))
    made.no_padding()
    return made
