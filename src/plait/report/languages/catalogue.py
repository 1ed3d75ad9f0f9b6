"""A catalogue: English messages with placeholders to those of another language, and how a text is found in it.

A placeholder says what stands in its place, for a finished text is taken apart again by it::

    {name}       a value of the data: kept as it is
    {n:n}        a number
    {what:t}     a text of ours: a message of the catalogue itself, or nothing
    {what:?}     a text of ours where the catalogue has it, else a value of the data
    {name:kind}  a word of ours of that kind ("metric", "task"), in the catalogue as ``metric|accuracy``
    {names:&}    names between commas and "and" or "or"
    {s:-}        grammar that the other language may leave out ("s", "is", "are")

Where a message of the other language puts quotes around a placeholder, \u201c{name}\u201d, they stand around each value
of the data, and not around words of ours. A value that the English message quotes is quoted there too, but behind "=",
where it belongs to a command. ``modality|tabular`` names the one modality that is no column.

A text is held against whole messages, those with the most letters first; then piece by piece. A match counts at once
only where all that should be ours is, and nothing of the data looks like the end of a sentence; a looser one is taken
where there is no better, if the message has some words of its own. So a wrong guess costs word order at most: every
value of the data stands in the result.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

LOOSE_LETTERS = 8  # of a message that is taken where what should be ours is not
HOLE = re.compile(r"\{(\w+)(?::(\w+|[?&-]))?\}")
NUMBER = r"[+\u2212-]?\d+(?:[.,]\d+)*(?:e[+\u2212-]?\d+)?\s?%?|[\u2013-]|undefined"
INSIDE = {"n": NUMBER, "-": "[^\\W\\d]*", "t": ".*?", "": ".*?"}
_CUT = re.compile(r"(?<=[.?!;])\s+(?=\S)|(?=[,;:] | \()")  # where a message may end and another begin
_SENTENCE = re.compile(r"[.?!;]\s*$")
_STOP = re.compile(r"[.?!]\s+[A-Z]|[;:] |;$")
_WORD = re.compile(r"[a-z]{2}")  # AUROC and mAP are the same in every language
_LAST = re.compile(r"(.+?),? (and|or) ([^,]+)", re.DOTALL)
_MINUS = re.compile(r"(?<![\w.])-(?=[\d.])")
_REPR = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_OF_DATA = re.compile(r"'[^']*'|\"[^\"]*\"|[^A-Za-z]*['\"][^A-Za-z]*")  # quoted, or a cut quotation of other scripts
_COUNTED = re.compile(r"(\S.*) \((\d[\d,.]*%?)\)")  # 'rain' (41%)
Names = frozenset[str]
Said = tuple[str, str]  # what stands in a placeholder, and what stands there between quotes


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
        self.ours = {v for k, v in self.exact.items() if k.startswith("modality|")}  # said in the language already
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
            if made is not None and f"{context}|" in made[1]:  # a message of no kind, with the kind in a placeholder
                made = None
            return self.exact.get(full, text) if made is None else made[1]
        return self._kept(text, names)[0]

    def _translated(self, text: str, names: Names) -> tuple[str, bool]:
        """The text, and whether all of it is of the other language."""
        bare = text.strip()
        if not re.search("[A-Za-z]", bare):
            return self.exact.get(bare) or (self.exact.get("stop|.", text) if bare == "." else minus(text)), True
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
            if not strict and message.letters < LOOSE_LETTERS:  # any sentence could be "{name} has {count}"
                break
            if message.longest not in text:
                continue
            match = message.pattern.fullmatch(text)
            if match is None:
                continue
            values: dict[str, Said] = {}
            for kind, run in message.runs:
                made, is_ours = self._values(match[run[0]], kind, run, names)
                if strict and not is_ours:
                    break
                values.update(zip(run, made, strict=True))
            else:
                return message.letters, _filled(message.other, values)
        return None

    def _values(self, value: str, kind: str, run: tuple[str, ...], names: Names) -> tuple[list[Said], bool]:
        """What stands in one placeholder, or in several texts of ours one after the other."""
        if len(run) == 1:
            made, is_ours = self._value(value, kind, names)
            return [made], is_ours
        cuts = [*(m.end() for m in _CUT.finditer(value) if m.end()), len(value)] if value.strip() else []
        for cut in cuts:
            head = value[:cut].strip()
            first = self._found(head, names) if _WORD.search(head) else minus(head)
            if first is not None:
                rest, is_ours = self._values(value[cut:], kind, run[1:], names)
                if is_ours:
                    return [(first, first), *rest], True
        rest, is_ours = self._values(value, kind, run[1:], names)
        return [("", ""), *rest], is_ours

    def _value(self, value: str, kind: str, names: Names) -> tuple[Said, bool]:
        """What stands in a placeholder, in the other language, and whether it is what its kind promises."""
        if kind in ("n", "-"):
            made = self.exact.get(value, value) if value == "undefined" else minus(value)
            return (made, made), True
        if kind == "t":
            made, is_ours = self._kept(value, names)
            return (made, made), is_ours and _OF_DATA.fullmatch(value) is None
        if kind == "?":
            made, is_ours = (value, True) if value in names else self._kept(value, names)
            return self._of_data(value) if made == value else (made, made), is_ours or _STOP.search(value) is None
        if kind == "&":
            return self._listed(value, names), _STOP.search(value) is None
        if kind:
            spellings = (value, value.replace(" ", "_"), value.lower())
            known = next((k for w in spellings if (k := self.exact.get(f"{kind}|{w}"))), self.exact.get(value))
            made = known or value
            return (made, made), known is not None or (not value.isascii() and not _WORD.search(value))
        return self._of_data(value), _STOP.search(value) is None and (", " not in value or value in names)

    def _of_data(self, value: str) -> Said:
        """A value of the data, and the same in quotes; the name of the joined modality is ours, and needs none."""
        ours, quoted, counted = self.exact.get(f"modality|{value}"), _REPR.fullmatch(value), _COUNTED.fullmatch(value)
        if ours is not None or value in self.ours:
            return (ours or value), (ours or value)
        if quoted is not None and (joined := self.exact.get(f"modality|{quoted[1] or quoted[2]}")) is not None:
            return joined, joined
        if quoted is not None:
            return value, f"\u201c{quoted[1] or quoted[2] or ''}\u201d"
        if counted is not None:
            plain, marked = self._of_data(counted[1])
            return f"{plain}\uff08{counted[2]}\uff09", f"{marked}\uff08{counted[2]}\uff09"
        parts = value.split(" + ")  # modalities that are there together
        if len(parts) > 1 and any(f"modality|{part}" in self.exact for part in parts):
            said = [self._of_data(part) for part in parts]
            return " + ".join(one[0] for one in said), " + ".join(one[1] for one in said)
        return value, f"\u201c{value}\u201d"

    def _listed(self, value: str, names: Names) -> Said:
        """Names one after the other; those of methods that are made of a modality are words of ours."""
        found = None if value in names else self._found(value, names)
        if found is not None and found != value:
            return found, found
        match = None if value in names else _LAST.fullmatch(value)
        first, word, last = match.groups() if match is not None else value.rpartition(", ")
        if value in names or not first:
            return self._item(value, names)
        said = [self._item(one, names) for one in (*first.split(", "), last)]
        comma = self.exact.get("list|,", ", ")
        word = comma if match is None else self.exact.get(f"list|{word}", word)
        plain, marked = ([one[i] for one in said] for i in (0, 1))
        return _ended(comma.join(plain[:-1]), word, plain[-1]), _ended(comma.join(marked[:-1]), word, marked[-1])

    def _item(self, value: str, names: Names) -> Said:
        made = value if value in names else self.translated(value, "line", names)
        return self._of_data(value) if made == value else (made, made)


def minus(text: str) -> str:
    """Numbers with the sign of arithmetic in place of the hyphen."""
    return _MINUS.sub("\u2212", text)


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


def _filled(message: str, values: Mapping[str, Said]) -> str:
    made, now = "", 0
    for hole in HOLE.finditer(message):
        before, value = message[hole.start() - 1 : hole.start()], values[hole[1]]
        marks = before == "\u201c" and message[hole.end() :][:1] == "\u201d"
        made = _joined(made, message[now : hole.start() - marks])
        made = _joined(made, value[marks or (before != "=" and _REPR.fullmatch(value[0]) is not None)])
        now = hole.end() + marks
    return _joined(made, message[now:])


def _ended(first: str, word: str, last: str) -> str:
    return _joined(_joined(first, word), last)


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
