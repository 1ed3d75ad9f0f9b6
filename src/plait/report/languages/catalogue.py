"""A catalogue: English messages with placeholders to messages of another language, and how a finished text is found in it.

A placeholder says what stands in its place, for a finished text is taken apart again by it::

    {name}      a value of the data: kept as it is
    {n:n}       a number
    {what:t}    a text of ours: a message of the catalogue itself
    {what:?}    a text of ours where the catalogue has it, else a value of the data
    {name:kind} a word of ours of that kind ("metric", "task"), in the catalogue as ``metric|accuracy``
    {names:&}   names between commas and "and" or "or"
    {s:-}       grammar that the other language may leave out ("s", "is", "are")

A text is held against whole messages, those with the most letters first; then sentence by sentence. A match counts at once
only where all that should be ours is, and nothing of the data looks like the end of a sentence; a looser one is taken where
there is no better. So a wrong guess costs word order at most: every value of the data stands in the result.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

HOLE = re.compile(r"\{(\w+)(?::(\w+|[?&-]))?\}")
NUMBER = r"[+\u2212-]?\d[\d,.]*(?:e[+\u2212-]?\d+)?\s?%?|[\u2013-]|undefined"
_END = re.compile(r"(?<=[.?!;])\s+(?=\S)")
_STOP = re.compile(r"[.?!]\s+[A-Z]")
_LETTERS = re.compile(r"[A-Za-z]")
_LAST = re.compile(r"(.+?),? (and|or) (\S+|[^,]+)", re.DOTALL)
Names = frozenset[str]


@dataclass(frozen=True)
class Message:
    """One message with placeholders, ready to be looked for."""

    pattern: re.Pattern[str]
    longest: str  # the longest piece between placeholders, which a text must hold
    letters: int  # of all pieces
    kinds: tuple[tuple[str, str], ...]
    other: str  # the message in the other language


class Catalogue:
    """The messages of one language.

    Args:
        messages: English to the other language; ``context|word`` for single words that data could hold too.
    """

    def __init__(self, messages: Mapping[str, str]) -> None:
        self.exact = {k: v for k, v in messages.items() if not HOLE.search(k)}
        self.messages = sorted((_message(k, v) for k, v in messages.items() if HOLE.search(k)), key=lambda m: -m.letters)
        self._kept = lru_cache(maxsize=20_000)(self._translated)

    def translated(self, text: str, context: str = "", names: Names = frozenset()) -> str:
        """The text in the other language, or as it is; see :func:`plait.report.languages.tr`."""
        if context:
            full = f"{context}|{text}"
            return self.exact.get(full) or self._matched(full, names, strict=True) or text
        return self._kept(text, names)[0]

    def _translated(self, text: str, names: Names) -> tuple[str, bool]:
        """The text, and whether all of it is of the other language."""
        bare = text.strip()
        if bare in self.exact:
            return self.exact[bare], True
        if not _LETTERS.search(bare):
            return text, True
        found = self._found(bare, names) or self._sentences(bare, names)
        if found is not None:
            return found, True
        loose = self._matched(bare, names, strict=False)
        if loose is not None:
            return loose, False
        ends = [m.end() for m in _END.finditer(bare)]
        if not ends:
            return text, False
        parts = [bare[a:b].strip() for a, b in zip([0, *ends], [*ends, len(bare)], strict=True)]
        made = [self._kept(part, names)[0] for part in parts]
        return " ".join(made), False

    def _found(self, text: str, names: Names) -> str | None:
        """One message that counts; it may be written as a sentence, with a capital and a stop, or end a part of one."""
        for core, stop in ((text, ""), (text[:-1], self._stop(text[-1:])) if text[-1:] in (".", ";") else ("", "")):
            for said in dict.fromkeys((core, core[:1].lower() + core[1:])) if core else ():
                made = self.exact[said] if said in self.exact else self._matched(said, names, strict=True)
                if made is not None:
                    return f"{made}{stop}"
        return None

    def _stop(self, mark: str) -> str:
        return self.exact.get(mark, mark)

    def _sentences(self, text: str, names: Names) -> str | None:
        """Several messages in a row, each a match that counts."""
        for end in reversed([m.end() for m in _END.finditer(text)]):
            head = text[:end].strip()
            first = self._found(head, names)
            if first is not None:
                rest, _ = self._kept(text[end:], names)
                return f"{first}{'' if _is_wide(first[-1]) else ' '}{rest}"
        return None

    def _matched(self, text: str, names: Names, *, strict: bool) -> str | None:
        for message in self.messages:
            if message.longest not in text:
                continue
            match = message.pattern.fullmatch(text)
            if match is None:
                continue
            values: dict[str, str] = {}
            for name, kind in message.kinds:
                value, is_ours = self._value(match[name], kind, names)
                if strict and not is_ours:
                    break
                values[name] = value
            else:
                return HOLE.sub(lambda hole: values[hole[1]], message.other)  # noqa: B023 (used at once)
        return None

    def _value(self, value: str, kind: str, names: Names) -> tuple[str, bool]:
        """What stands in a placeholder, in the other language, and whether it is what its kind promises."""
        if kind in ("n", "-"):
            return {"undefined": self.exact.get("undefined", value)}.get(value, value), True
        if kind == "t":
            return self._kept(value, names)
        if kind == "?":
            return (value if value in names else self._kept(value, names)[0]), True
        if kind == "&":
            return self._listed(value, names), _STOP.search(value) is None
        if kind:
            known = self.exact.get(f"{kind}|{value.replace(' ', '_')}")
            return known or value, known is not None or " " not in value or not value.isascii()
        return value, _STOP.search(value) is None

    def _listed(self, value: str, names: Names) -> str:
        match = _LAST.fullmatch(value)
        if match is None or value in names:
            return self._kept(value, names)[0] if value in self.exact else value
        first = match[1].replace(", ", self.exact.get("list|,", ", "))
        return f"{first}{self.exact.get(f'list|{match[2]}', match[2])}{match[3]}"


def _message(english: str, other: str) -> Message:
    pattern, pieces, kinds, now = "", [], [], 0
    for hole in HOLE.finditer(english):
        name, kind = hole[1], hole[2] or ""
        pieces.append(english[now : hole.start()])
        inside = NUMBER if kind == "n" else "[^\\W\\d]*" if kind == "-" else ".*?" if kind in ("t", "") else ".+?"
        pattern += re.escape(pieces[-1]) + (f"(?P={name})" if name in dict(kinds) else f"(?P<{name}>{inside})")
        kinds.append((name, kind))
        now = hole.end()
    pieces.append(english[now:])
    pattern += re.escape(pieces[-1])
    kept = tuple(dict(kinds).items())
    return Message(re.compile(pattern, re.DOTALL), max(pieces, key=len), sum(map(len, pieces)), kept, other)


def _is_wide(letter: str) -> bool:
    return ord(letter) >= 0x3000
