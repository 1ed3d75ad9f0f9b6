"""From what a request holds to the cells of a row: every column by its kind, every limit before anything is decoded.

Media come as base64 text or ``data:`` addresses in JSON, as files in a form, or, where the server was told hosts to
fetch from, by their https address there. No text is ever taken for the name of a file: what is no base64 is refused, so
that a cell cannot name a file of the server.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import difflib
import json
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from plait.data.cell_error import CellError
from plait.data.picture import open_image
from plait.data.sound import sound_length
from plait.serve.fetch import fetch, is_address
from plait.serve.options import ServeOptions
from plait.serve.refusal import Refusal

MOST_SHORT = 1000  # characters of a category, a number or a date
MOST_NUMBERS = 1_000_000  # of one vector or sequence of vectors
MOST_PICTURES = 32  # of one set
NAMED = 40  # characters of a column's name that a message repeats
_UNTIL: ContextVar[float] = ContextVar("until", default=math.inf)
_DATA = re.compile(r"data:[\w.+-]*/?[\w.+-]*(?:;[\w-]+=[\w.+\"-]*)*;base64,", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]*={0,2}", re.ASCII)


@dataclass(frozen=True)
class InputColumn:
    """One column of a request.

    Attributes:
        name: Its name.
        kind: Its kind: text, image, audio, image_set, vector, numeric, categorical or date.
        held: What the training cells were: text, whole, number, truth or date.
        known: Categories seen in training.
        usual: Mean of the training cells of a column of numbers, or None.
    """

    name: str
    kind: str
    held: str = "text"
    known: tuple[str, ...] = ()
    usual: float | None = None


class CellReader:
    """Reads rows of requests.

    Args:
        columns: The columns of the model.
        options: The limits.
    """

    def __init__(self, columns: Sequence[InputColumn], options: ServeOptions) -> None:
        self.columns = {column.name: column for column in columns}
        self._options = options
        self._of_kind: dict[str, Callable[[Any, InputColumn], Any]] = {
            "text": self._text, "image": self._image, "audio": self._sound, "image_set": self._pictures,
            "vector": self._vector, "numeric": self._number, "categorical": self._category, "date": self._date,
        }  # fmt: skip

    def rows(self, given: Any) -> list[dict[str, Any] | Refusal]:
        """The rows of a JSON request; in the place of a row that cannot be read, why, with its row and column.

        Raises:
            Refusal: 422; this is no list of rows, or one of too many.
        """
        if not isinstance(given, list) or not given:
            raise Refusal(422, "no_rows", 'expected "rows": a list of at least one object, one a row')
        if len(given) > self._options.max_rows:
            raise Refusal(
                422, "too_many_rows", f"{len(given):,} rows; the limit is {self._options.max_rows:,} a request"
            )
        with self._in_time():
            return [self._row_or_why(one, number) for number, one in enumerate(given)]

    def _row_or_why(self, given: Any, number: int) -> dict[str, Any] | Refusal:
        try:
            return self.row(given, number)
        except Refusal as refused:
            return refused

    def row(self, given: Any, number: int = 0) -> dict[str, Any]:
        """One row: a value of every column of the model, None where it is left out.

        Raises:
            Refusal: 422; the message names row and column.
        """
        if not isinstance(given, Mapping):
            raise Refusal(422, "no_row", "a row must be an object with names of columns", row=number)
        for name in given:
            if name not in self.columns:
                raise Refusal(422, "unknown_column", self._unknown(str(name)), row=number)
        with self._in_time():
            made = {name: self._of_row(given.get(name), column, number) for name, column in self.columns.items()}
        if all(value is None for value in made.values()):
            raise Refusal(
                422, "empty_row",
                f"the row holds none of {', '.join(self.columns)}; a server answers no row without a value "
                "(plait predict does, with what it knows of rows that lack everything)", row=number,
            )  # fmt: skip
        return made

    def _of_row(self, value: Any, column: InputColumn, number: int) -> Any:
        try:
            return self.cell(value, column)
        except Refusal as refused:
            refused.row, refused.column = number, column.name
            raise

    def form_row(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The one row of a form, whose fields are texts and files.

        Raises:
            Refusal: 422; the message names the column.
        """
        made = dict(given)
        for name, value in given.items():
            if name in self.columns and isinstance(value, str) and value.strip():
                try:
                    made[name] = _from_text(value, self.columns[name])
                except Refusal as refused:
                    refused.row, refused.column = 0, name
                    raise
        return self.row(made)

    def blank(self, given: Any) -> list[str]:
        """The columns for which a row holds text, but nothing but blanks: they count as left out."""
        held = given if isinstance(given, Mapping) else {}
        return [name for name in self.columns if is_blank(held.get(name)) and held[name] != ""]

    def cell(self, value: Any, column: InputColumn) -> Any:
        """One cell; None where it is empty or blank, as in a table.

        Raises:
            Refusal: 422.
        """
        if value is None or is_blank(value):
            return None
        return self._of_kind[column.kind](value, column)

    def media(self, value: Any, kind: str) -> bytes:
        """The bytes of one picture ("image") or sound ("audio"), within the limits.

        Raises:
            Refusal: 422, no such content, or 413, one that is too large.
        """
        if self._options.fetch_from and is_address(value):
            with self._in_time():
                data = fetch(value, self._options.fetch_from, most_bytes=self._options.max_body, until=_UNTIL.get())
        else:
            data = value if isinstance(value, bytes) else _decoded(value, kind)
        if not data:
            raise Refusal(422, "empty_file", f"the {_WORD[kind]} holds 0 bytes")
        try:
            self._check_size(data, kind)
        except CellError as error:
            raise Refusal(422, f"bad_{kind}", str(error)) from error
        return data

    @contextlib.contextmanager
    def _in_time(self) -> Iterator[None]:
        """What is fetched for one request is there by its deadline."""
        if _UNTIL.get() < math.inf:
            yield
            return
        token = _UNTIL.set(time.monotonic() + self._options.deadline)
        try:
            yield
        finally:
            _UNTIL.reset(token)

    def text(self, value: Any, most: int | None = None) -> str:
        """A text of valid Unicode within the limit.

        Raises:
            Refusal: 422.
        """
        if not isinstance(value, str):
            raise Refusal(422, "no_text", f"expected text, got {_named(value)}")
        limit = self._options.max_text if most is None else most
        if len(value) > limit:
            raise Refusal(422, "text_too_long", f"the text has {len(value):,} characters; the limit is {limit:,}")
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise Refusal(422, "no_unicode", "the text holds half of a surrogate pair; send valid Unicode") from error
        return value

    def _check_size(self, data: bytes, kind: str) -> None:
        if kind == "image":
            width, height = open_image(data, max_pixels=2**62).size
            if width * height > self._options.max_pixels:
                raise Refusal(
                    413, "too_many_pixels",
                    f"the picture has {width} x {height} pixels; the limit is {self._options.max_pixels:,} in all",
                )  # fmt: skip
            return
        seconds = sound_length(data)[0]
        if seconds > self._options.max_seconds:
            raise Refusal(
                413, "sound_too_long", f"the sound lasts {seconds:,.1f} s; the limit is {self._options.max_seconds:g} s"
            )

    def _unknown(self, name: str) -> str:
        shown = repr(name[:NAMED])
        near = difflib.get_close_matches(name[:NAMED], self.columns, n=1)
        meant = f" (did you mean {near[0]!r}?)" if near else ""
        return f"the model reads no column {shown}{meant}; it reads {', '.join(self.columns)}"

    def _text(self, value: Any, column: InputColumn) -> str:
        return self.text(value)

    def _image(self, value: Any, column: InputColumn) -> bytes:
        return self.media(value, "image")

    def _sound(self, value: Any, column: InputColumn) -> bytes:
        return self.media(value, "audio")

    def _pictures(self, value: Any, column: InputColumn) -> list[bytes] | None:
        members = value if isinstance(value, list) else [value]
        if len(members) > MOST_PICTURES:
            raise Refusal(422, "too_many_pictures", f"{len(members)} pictures; the limit is {MOST_PICTURES} a set")
        return [self.media(one, "image") for one in members] or None

    def _vector(self, value: Any, column: InputColumn) -> list[Any]:
        if not isinstance(value, list) or not value:
            raise Refusal(422, "no_vector", f"expected a list of numbers, got {_named(value)}")
        rows = value if isinstance(value[0], list) else [value]
        if sum(len(row) for row in rows if isinstance(row, list)) > MOST_NUMBERS:
            raise Refusal(422, "vector_too_long", f"more than {MOST_NUMBERS:,} numbers")
        if not all(isinstance(row, list) and row and len(row) == len(rows[0]) for row in rows):
            raise Refusal(422, "no_vector", "expected a list of numbers, or several of equal length")
        made = [[_finite(number) for number in row] for row in rows]
        return made if isinstance(value[0], list) else made[0]

    def _number(self, value: Any, column: InputColumn) -> float:
        return _finite(value)

    def _date(self, value: Any, column: InputColumn) -> str:
        return self.text(value, MOST_SHORT).strip()

    def _category(self, value: Any, column: InputColumn) -> Any:
        if column.held == "truth":
            if not isinstance(value, bool):
                raise Refusal(422, "no_category", f"expected true or false, got {_named(value)}")
            return value
        if column.held in ("whole", "number"):
            number = _finite(value)
            if column.held == "number":
                return number
            if number != int(number) or abs(number) >= 2**53:
                raise Refusal(422, "no_category", "expected a whole number, as in training")
            return int(number)
        if not isinstance(value, str):
            raise Refusal(422, "no_category", f"expected a category as text, got {_named(value)}")
        return self.text(value, MOST_SHORT)


_WORD = {"image": "picture", "audio": "sound"}


def is_blank(value: Any) -> bool:
    """Whether a value is text without a letter in it."""
    return isinstance(value, str) and not value.strip()


def read_json(text: str | bytes) -> Any:
    """JSON without NaN, infinity, a name twice in one object, or nesting that a parser cannot hold.

    Raises:
        Refusal: 400; 422 for a name twice, of which one value would be lost.
    """

    def refuse(word: str) -> Any:
        raise Refusal(400, "bad_json", f"{word} is no JSON; leave the value out or send null")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            seen: set[str] = set()
            repeated = next(name for name, _ in pairs if name in seen or seen.add(name))
            raise Refusal(422, "twice", f"an object names {repeated[:NAMED]!r} more than once")
        return made

    try:
        return json.loads(text, parse_constant=refuse, object_pairs_hook=once)
    except RecursionError as error:
        raise Refusal(400, "bad_json", "the JSON is nested too deeply") from error
    except ValueError as error:  # malformed, not UTF-8, or a number of thousands of digits
        where = f" (character {error.pos})" if isinstance(error, json.JSONDecodeError) else ""
        raise Refusal(400, "bad_json", f"the body is no JSON{where}") from error


def _decoded(value: Any, kind: str) -> bytes:
    """The bytes of base64 text or of a data: address; anything else is refused, the name of a file above all."""
    word = _WORD[kind]
    if not isinstance(value, str):
        raise Refusal(422, "no_file", f"expected the {word} as base64 text or a data: address, got {_named(value)}")
    head = _DATA.match(value[:200])
    body = value[head.end() :] if head else value
    packed = "".join(body.split())
    if not _BASE64.fullmatch(packed):
        raise Refusal(
            422, "no_file",
            f"the {word} is no base64: send its bytes (base64, a data: address, or a file in a form); the server reads "
            "no file by its name and fetches no address that it was not started for",
        )  # fmt: skip
    packed = packed.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
    except binascii.Error as error:
        raise Refusal(422, "no_file", f"the base64 of the {word} is broken or cut short") from error


def _from_text(text: str, column: InputColumn) -> Any:
    """The text of a form's field as JSON would have it."""
    if column.kind == "vector":
        return read_json(text)
    if column.kind == "categorical" and column.held == "truth":
        return {"true": True, "false": False}.get(text.strip().lower(), text)
    if column.kind == "numeric" or (column.kind == "categorical" and column.held in ("whole", "number")):
        if len(text) <= MOST_SHORT and _NUMBER.fullmatch(text.strip()):
            return float(text)
        raise Refusal(422, "no_number", "expected a number such as 12.5, with a point before the decimals")
    return text


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refusal(422, "no_number", f"expected a number, got {_named(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise Refusal(422, "no_number", "expected a finite number; leave the value out where it is not known")
    return number


def _named(value: Any) -> str:
    """What a JSON value is, in a word; never the value itself, which is the user's own."""
    if value is None:
        return "null"
    words = {bool: "true or false", str: "text", bytes: "a file", list: "a list", dict: "an object"}
    return words.get(type(value), "a number")
