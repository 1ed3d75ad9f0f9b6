"""Words that messages share: what is said of an unknown name, counts with their nouns, the first line of an error."""

from __future__ import annotations

import difflib
import unicodedata


def unknown_name(what: str, name: object, known: list[str], where: str = "") -> str:
    """The one sentence said for an unknown name: what was given, where, what is near, what there is.

    Example:
        >>> unknown_name("fusion", "gatd", ["gated", "film"], where="fusion=")
        "unknown fusion 'gatd' (fusion=). Did you mean 'gated'? Known: gated, film"
    """
    near = difflib.get_close_matches(str(name), known, n=3, cutoff=0.5)
    hint = f" Did you mean {', '.join(repr(n) for n in near)}?" if near else ""
    listed = ", ".join(known) if known else "none"
    shown = repr(name)
    place = f" ({where})" if where else ""
    return f"unknown {what} {shown if len(shown) <= 200 else shown[:197] + '...'}{place}.{hint} Known: {listed}"


def one_line(text: str) -> str:
    r"""Text of the data on one line: newlines and other control characters as they are written in Python.

    Example:
        >>> print(one_line("two\nlines"), one_line("\u4ef7\u683c"))
        two\nlines \u4ef7\u683c
    """
    return "".join(
        letter if letter.isprintable() or unicodedata.category(letter) == "Zs" else repr(letter)[1:-1]
        for letter in text
    )


def counted(number: int, one: str, many: str | None = None) -> str:
    """A count with its noun in the right number.

    Args:
        number: How many.
        one: The noun of one.
        many: The noun of several; None: with an s.

    Example:
        >>> counted(1, "row"), counted(2_000, "row"), counted(0, "class", "classes")
        ('1 row', '2,000 rows', '0 classes')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def first_line(error: BaseException) -> str:
    r"""The first line of an error's message, or its type where it has none.

    Example:
        >>> first_line(ValueError("too long\nin many lines")), first_line(KeyError())
        ('too long', 'KeyError')
    """
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
