"""Words of a text that can be hidden: cut at spaces, and by letter where a script writes none.

Long texts have runs of neighbouring words as parts, so that the cost has a bound; the note says so.
"""

from __future__ import annotations

import re

import numpy as np

from plait.explain.inputs.cut import Cut

WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\s\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
MOST_PARTS = 64


def cut_words(text: str, instead: str = "drop") -> Cut:
    """A text in words.

    Args:
        text: The text as the encoder reads it, cleaned.
        instead: "drop", or what stands for a hidden word.

    Example:
        >>> cut = cut_words("a red car")
        >>> [p["text"] for p in cut.parts], cut.hidden(np.array([True, False, True]), 0)
        (['a', 'red', 'car'], 'a car')
    """
    found = [(m.start(), m.end()) for m in WORD.finditer(text)]
    size = -(-len(found) // MOST_PARTS) if found else 1
    spans = [(found[i][0], found[min(i + size, len(found)) - 1][1]) for i in range(0, len(found), size)]
    filler = "" if instead == "drop" else instead

    def hidden(kept_P: np.ndarray, draw: int) -> str:
        if kept_P.all():
            return text
        made, now = [], 0
        for (start, end), kept in zip(spans, kept_P, strict=True):
            made.append(text[now:start])
            made.append(text[start:end] if kept else filler)
            now = end
        whole = "".join([*made, text[now:]])
        return " ".join(whole.split()) if not filler else whole

    parts = [{"text": text[a:b], "start": a, "end": b} for a, b in spans]
    what = "nothing: the word is left out" if not filler else f"the text {filler!r}"
    note = f"{len(found):,} words, in runs of {size}" if size > 1 else None
    return Cut(parts, hidden, what, shown={"text": text}, note=note)
