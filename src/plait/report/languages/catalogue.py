"""A catalogue: English messages with placeholders to those of another language, and how a text is found in it.

A placeholder says what stands in its place, for a finished text is taken apart again by it::

    {name}       a value of the data: kept as it is
    {n:n}        a number
    {what:t}     a text of ours: a message of the catalogue itself, or nothing
    {what:?}     a text of ours where the catalogue has it, else a value of the data
    {name:kind}  a word of ours of that kind ("metric", "task"), in the catalogue as ``metric|accuracy``
    {names:&}    names between commas and "and" or "or"
    {s:-}        grammar that the other language may leave out ("s", "is", "are")

A text is held against whole messages, those with the most letters first; then piece by piece. A match counts at once
only where all that should be ours is, and nothing of the data looks like the end of a sentence; a looser one is taken
where there is no better. So a wrong guess costs word order at most: every value of the data stands in the result.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

HOLE = re.compile(r"\{(\w+)(?::(\w+|[?&-]))?\}")
NUMBER = r"[+\u2212-]?\d+(?:[.,]\d+)*(?:e[+\u2212-]?\d+)?\s?%?|[\u2013-]|undefined"
INSIDE = {"n": NUMBER, "-": "[^\\W\\d]*", "t": ".*?", "": ".*?"}
_CUT = re.compile(r"(?<=[.?!;])\s+(?=\S)|(?=[,;:] | \()")  # where a message may end and another begin
_SENTENCE = re.compile(r"[.?!;]\s*$")
_STOP = re.compile(r"[.?!]\s+[A-Z]|[;:] ")
_WORD = re.compile(r"[a-z]{2}")  # AUROC and mAP are the same in every language
_LAST = re.compile(r"(.+?),? (and|or) ([^,]+)", re.DOTALL)
Names = frozenset[str]


@dataclass(frozen=True)
class Message:
    """One message with placeholders, ready to be looked for."""

    pattern: re.Pattern[str]
    longest: str  # the longest piece between placeholders, which a text must hold
    letters: int  # of all pieces
    runs: tuple[tuple[str, tuple[str, ...]], ...]  # kind, and the placeholders that one group of the pattern stands for
    other: str  # the message in the other language


class Catalogue:
    """The messages of one language.

    Args:
        messages: English to the other language; ``context|word`` for words that data could hold too.
    """

    def __init__(self, messages: Mapping[str, str]) -> None:
        self.exact = {k: v for k, v in messages.items() if not HOLE.search(k)}
        words: dict[str, list[str]] = {}
        for kind, bar, word in (k.partition("|") for k in self.exact):
            if bar:
                words.setdefault(kind, []).extend({word, word.replace("_", " ")})
        inside = INSIDE | {
            kind: "|".join([*map(re.escape, sorted(w, key=len, reverse=True)), ".+?"]) for kind, w in words.items()
        }
        found = (_message(k, v, inside) for k, v in messages.items() if HOLE.search(k))
        self.messages = sorted(found, key=lambda m: -m.letters)
        self._kept = lru_cache(maxsize=20_000)(self._translated)

    def translated(self, text: str, context: str = "", names: Names = frozenset()) -> str:
        """The text in the other language, or as it is; see :func:`plait.report.languages.tr`."""
        if context:
            full = f"{context}|{text}"
            made = None if full in self.exact else self._matched(full, names, strict=True)
            return self.exact.get(full, text) if made is None else made[1]
        return self._kept(text, names)[0]

    def _translated(self, text: str, names: Names) -> tuple[str, bool]:
        """The text, and whether all of it is of the other language."""
        bare = text.strip()
        if not re.search("[A-Za-z]", bare):
            return self.exact.get(bare, text), True
        found = self._found(bare, names)
        if found is not None:
            return found, True
        whole = self._in_pieces(bare, names)
        if whole is not None and whole[1]:
            return whole
        loose = self._matched(bare, names, strict=False)
        if whole is not None or loose is None:
            return whole or (text, not _WORD.search(text))
        return loose[1], False

    def _found(self, text: str, names: Names) -> str | None:
        """One message that counts; it may be written as a sentence, with a capital and a stop."""
        if text in self.exact:
            return self.exact[text]
        best: tuple[int, str] | None = None
        for core, stop in ((text, ""), (text[:-1], text[-1:])):
            if stop not in ("", ".", ";") or not core:
                continue
            for said in dict.fromkeys((core, core[0].lower() + core[1:])):
                made = (len(said), self.exact[said]) if said in self.exact else self._matched(said, names, strict=True)
                if made is not None and (best is None or made[0] > best[0]):
                    best = made[0], f"{made[1]}{self.exact.get('stop|' + stop, stop)}"
        return None if best is None else best[1]

    def _in_pieces(self, text: str, names: Names) -> tuple[str, bool] | None:
        """Several messages in a row; one that is missing is left as it is, where sentences end around it."""
        cuts = [m.end() for m in _CUT.finditer(text) if m.end()]
        for cut in reversed(cuts):
            head = text[:cut].strip()
            first = self._found(head, names)
            if first is None:
                continue
            rest, is_ours = self._rest(text[cut:], names)
            if is_ours or _SENTENCE.search(head):
                return _joined(first, f" {rest.lstrip()}"), is_ours
        for cut in cuts:
            if _SENTENCE.search(text[:cut]) and _STOP.search(text[:cut] + text[cut : cut + 1]):
                rest, _ = self._kept(text[cut:], names)
                loose = self._matched(text[:cut].strip(), names, strict=False)
                return f"{loose[1] if loose else text[:cut].strip()} {rest}", False
        return None

    def _rest(self, text: str, names: Names) -> tuple[str, bool]:
        """What follows a message: others, perhaps behind a comma, as in a list."""
        rest, is_ours = self._kept(text, names)
        if is_ours or text[:2] not in (", ", "; "):
            return rest, is_ours
        rest, is_ours = self._kept(text[2:], names)
        return f"{self.exact.get('stop|' + text[0], text[:2])}{rest}", is_ours

    def _matched(self, text: str, names: Names, *, strict: bool) -> tuple[int, str] | None:
        """The message with the most letters that the text is, with its letters."""
        for message in self.messages:
            if message.longest not in text:
                continue
            match = message.pattern.fullmatch(text)
            if match is None:
                continue
            values: dict[str, str] = {}
            for kind, run in message.runs:
                made, is_ours = self._values(match[run[0]], kind, run, names)
                if strict and not is_ours:
                    break
                values.update(zip(run, made, strict=True))
            else:
                return message.letters, _filled(message.other, values)
        return None

    def _values(self, value: str, kind: str, run: tuple[str, ...], names: Names) -> tuple[list[str], bool]:
        """What stands in one placeholder, or in several texts of ours one after the other."""
        if len(run) == 1:
            made, is_ours = self._value(value, kind, names)
            return [made], is_ours
        cuts = [*(m.end() for m in _CUT.finditer(value) if m.end()), len(value)] if value.strip() else []
        for cut in cuts:
            head = value[:cut].strip()
            first = self._found(head, names) if _WORD.search(head) else head
            if first is not None:
                rest, is_ours = self._values(value[cut:], kind, run[1:], names)
                if is_ours:
                    return [first, *rest], True
        rest, is_ours = self._values(value, kind, run[1:], names)
        return ["", *rest], is_ours

    def _value(self, value: str, kind: str, names: Names) -> tuple[str, bool]:
        """What stands in a placeholder, in the other language, and whether it is what its kind promises."""
        if kind in ("n", "-"):
            return self.exact.get(value, value) if value == "undefined" else value, True
        if kind == "t":
            return self._kept(value, names)
        if kind == "?":
            made, is_ours = (value, True) if value in names else self._kept(value, names)
            return made, is_ours or _STOP.search(value) is None
        if kind == "&":
            return self._listed(value, names), _STOP.search(value) is None
        if kind:
            spellings = (value, value.replace(" ", "_"), value.lower())
            known = next((k for w in spellings if (k := self.exact.get(f"{kind}|{w}"))), self.exact.get(value))
            return known or value, known is not None or (not value.isascii() and not _WORD.search(value))
        return value, _STOP.search(value) is None and (", " not in value or value in names)

    def _listed(self, value: str, names: Names) -> str:
        if value in names:
            return value
        found = self._found(value, names)
        match = _LAST.fullmatch(value)
        if found is not None or match is None:
            return found or value
        first = match[1].replace(", ", self.exact.get("list|,", ", "))
        return f"{first}{self.exact.get(f'list|{match[2]}', match[2])}{match[3]}"


def _message(english: str, other: str, inside: Mapping[str, str]) -> Message:
    pattern, pieces, now = "", [], 0
    runs: list[tuple[str, tuple[str, ...]]] = []
    for hole in HOLE.finditer(english):
        name, kind = hole[1], hole[2] or ""
        piece = english[now : hole.start()]
        now = hole.end()
        known = {n for _, run in runs for n in run}
        if kind == "t" and not piece.strip() and pieces and runs and runs[-1][0] == "t":
            runs[-1] = ("t", (*runs[-1][1], name))
            continue
        pieces.append(piece)
        pattern += re.escape(piece) + (f"(?P={name})" if name in known else f"(?P<{name}>{inside.get(kind, '.+?')})")
        if name not in known:
            runs.append((kind, (name,)))
    pieces.append(english[now:])
    pattern += re.escape(pieces[-1])
    whole = re.compile(pattern, re.DOTALL)
    return Message(whole, max(pieces, key=len), sum(map(len, pieces)), tuple(runs), other)


def _filled(message: str, values: Mapping[str, str]) -> str:
    made, now = "", 0
    for hole in HOLE.finditer(message):
        made = _joined(made, message[now : hole.start()])
        made = _joined(made, values[hole[1]])
        now = hole.end()
    return _joined(made, message[now:])


def _joined(left: str, right: str) -> str:
    """Two pieces, with a space between unlike scripts and none beside wide signs; nothing inside changes."""
    a, b = left.rstrip(" ")[-1:], right.lstrip(" ")[:1]
    if not a or not b:
        return left + right
    if _is_sign(a) or _is_sign(b) or (_is_wide(a) and _is_wide(b)):
        return left.rstrip(" ") + right.lstrip(" ")
    if (_is_wide(a) and b.isalnum()) or (a.isalnum() and _is_wide(b)):
        return f"{left.rstrip(' ')} {right.lstrip(' ')}"
    return left + right


def _is_wide(letter: str) -> bool:
    return ord(letter) >= 0x2E80


def _is_sign(letter: str) -> bool:
    return letter in "\u3001\u3002\uff08\uff09\uff0c\uff1a\uff1b\uff1f\u201c\u201d"
