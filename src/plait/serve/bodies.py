"""The body of a request, JSON or a form, as names and values; its size is held by the gate, its shape here."""

from __future__ import annotations

import asyncio
import re
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request

from plait.serve.cells import MOST_PICTURES, read_json
from plait.serve.options import ServeOptions
from plait.serve.refusal import Refusal

AT_ONCE = 64 * 1024  # bytes of JSON that are read on the loop; more goes to a thread
MOST_FIELDS = 2000
MOST_ENCODED = 4 * 2**20  # bytes of a form without files, whose texts are written out by percent signs


class Body:
    """What came in.

    Attributes:
        values: By name: JSON values, or texts, bytes and lists of bytes of a form.
        is_form: Whether it was a form.
    """

    def __init__(self, values: dict[str, Any], is_form: bool) -> None:
        self.values, self.is_form = values, is_form

    def only(self, *names: str) -> None:
        """Refuse names that the route does not know.

        Raises:
            Refusal: 422.
        """
        unknown = [name for name in self.values if name not in names]
        if unknown:
            shown = str(unknown[0])[:40]
            raise Refusal(422, "unknown_field", f"unknown field {shown!r}; known: {', '.join(names)}")

    def number(self, name: str, low: float, high: float, default: Any) -> Any:
        """A number of the body, of a form a text that reads as one.

        Raises:
            Refusal: 422.
        """
        value = self.values.get(name)
        if value is None or value == "":
            return default
        try:
            if isinstance(value, bool) or not isinstance(value, int | float | str):
                raise ValueError
            number = float(value)
        except (ValueError, OverflowError):
            number = float("nan")
        if not low <= number <= high:
            raise Refusal(422, "bad_number", f"{name} must be a number from {low:g} to {high:g}")
        return number


async def read_body(request: Request, options: ServeOptions) -> Body:
    """Read the whole body.

    Raises:
        Refusal: 400, 413 or 415.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json")):
        data = await request.body()
        found = read_json(data) if len(data) <= AT_ONCE else await asyncio.to_thread(read_json, data)
        if not isinstance(found, dict):
            raise Refusal(422, "no_object", "the body must be a JSON object")
        return Body(found, False)
    if kind == "multipart/form-data":
        return Body(await _read_form(request, options), True)
    if kind == "application/x-www-form-urlencoded":
        return Body(await asyncio.to_thread(_read_encoded, await request.body()), True)
    raise Refusal(
        415, "unknown_type",
        "send application/json, multipart/form-data, or without files application/x-www-form-urlencoded",
    )  # fmt: skip


def _read_encoded(data: bytes) -> dict[str, Any]:
    """A form without files.

    Raises:
        Refusal: 400, 413, 415 for JSON, or 422 for a field that came twice.
    """
    if data.lstrip()[:1] in (b"{", b"["):  # what curl -d sends without a header
        raise Refusal(
            415,
            "unknown_type",
            "the body looks like JSON and came as a form: send the header Content-Type: application/json",
        )
    if len(data) > MOST_ENCODED:
        raise Refusal(
            413, "body_too_large", f"a form of this type is larger than {MOST_ENCODED // 2**20} MiB; send JSON"
        )
    try:
        pairs = parse_qsl(
            data.decode("ascii"), keep_blank_values=True, strict_parsing=bool(data), errors="strict",
            max_num_fields=MOST_FIELDS,
        )  # fmt: skip
    except ValueError as error:  # UnicodeDecodeError is one
        raise Refusal(400, "bad_form", "the form is broken, not UTF-8, or has too many fields") from error
    values: dict[str, Any] = {}
    for name, value in pairs:
        if name in values:
            raise Refusal(422, "twice", f"the field {name[:40]!r} came more than once")
        values[name] = value
    return values


def _check_whole(request: Request, data: bytes) -> None:
    """Refuse a form that ends before its closing boundary: what is lacking would count as left out."""
    found = re.search(r'boundary="?([^";]+)', request.headers.get("content-type", ""), re.IGNORECASE)
    if found is None or not data.rstrip().endswith(b"--" + found[1].strip().encode("latin-1") + b"--"):
        raise Refusal(400, "bad_form", "the form is cut short: it does not end with its closing boundary")


async def _read_form(request: Request, options: ServeOptions) -> dict[str, Any]:
    values: dict[str, Any] = {}
    data = await request.body()
    _check_whole(request, data)
    try:
        async with request.form(
            max_files=MOST_PICTURES * 4, max_fields=MOST_FIELDS, max_part_size=max(options.max_text * 4, 2**20)
        ) as form:
            for name, value in form.multi_items():
                cell = value if isinstance(value, str) else await value.read()
                if isinstance(cell, str) and not cell.isascii() and cell.encode("utf-8", "replace") not in data:
                    raise Refusal(400, "bad_form", "the form holds text that is not UTF-8")
                if name not in values:
                    values[name] = cell
                elif isinstance(cell, bytes) and isinstance(values[name], bytes | list):
                    known = values[name]
                    values[name] = [*known, cell] if isinstance(known, list) else [known, cell]
                else:
                    raise Refusal(422, "twice", f"the field {name[:40]!r} came more than once")
    except UnicodeDecodeError as error:
        raise Refusal(400, "bad_form", "the form holds text that is not UTF-8") from error
    return {name: None if cell == b"" else cell for name, cell in values.items()}  # a file input that was left empty
