"""Messages of the library, which name arguments as Python writes them, as the command line types them.

The library says ``target='label'``, ``overwrite=True``, ``set=['train.epochs=3']``, ``plait.fit(TABLE, target=COL)``.
On a terminal that is ``--target label``, ``--overwrite``, ``--set train.epochs=3``, ``plait fit TABLE --target COL``.
Only names that are options of some verb are turned; what stands between quotes is the user's own and stays.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator, Sequence

VALUE = r"""True|\[(?P<list>'[^']*'|"[^"]*")\]|'[^']*'|"[^"]*"|[A-Z]+\b|[\w./:-]*\w"""
PLAIN = re.compile(r"[^\s;()\"'<>|*?{}\[\]]+")  # needs no quotes in a shell
SHORT = {"-o": "--output", "-k": "--k"}
OTHER_NAMES = {"block": "batch_size", "max_new_tokens": "max_tokens", "examples": "row"}  # in Python: on a terminal
VERBS = {"build_index": "index build", "two_tower": "two-tower"}


def as_typed(message: str) -> str:
    """The message in the words of the command line.

    Example:
        >>> as_typed("m exists; type overwrite=True, or name it with target='a b' (got 'target=x')")
        "m exists; type --overwrite, or name it with --target 'a b' (got 'target=x')"
        >>> as_typed("plait.fit(TABLE, task='retrieval', set=['train.epochs=3']) makes one")
        'plait fit TABLE --task retrieval --set train.epochs=3 makes one'
    """
    message = re.sub(r"(?<![A-Za-z0-9_])plait\.(\w+)\(((?:[^()'\"]|'[^']*'|\"[^\"]*\")*)\)", _command, message)
    names = "|".join(sorted(options(), key=len, reverse=True))
    return re.sub(rf"(?<![A-Za-z0-9_.'\"=-])(?P<name>{names})=(?P<value>{VALUE})?(?![='\"])", _option, message)


def with_flag(message: str, typed: Sequence[str]) -> str:
    """The message with the option in front whose value it speaks of, unless it names one that was typed.

    Args:
        message: What the library says, in the words of the command line.
        typed: The words of the command line.

    Example:
        >>> with_flag("seeds is -1; expected at least 1", ["compare", "t.csv", "--seeds", "-1"])
        '--seeds -1: seeds is -1; expected at least 1'
        >>> with_flag("unknown metric 'f2' (--metric)", ["explain", "m", "t.csv", "--metric=f2"])
        "unknown metric 'f2' (--metric)"
    """
    given = list(_options_in(typed))
    if any(re.search(rf"{re.escape(flag)}(?![\w-])", message) for flag, _ in given):
        return message
    about = re.split(r" Did you mean | Known: |; it has ", message)[0]
    blamed = [f"{flag} {value}" for flag, value in given if _speaks_of(about, value)]
    return f"{', '.join(blamed)}: {message}" if blamed else message


def _options_in(typed: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The options of a command line with their values, short ones by their long names."""
    known = {*options().values()}
    for number, word in enumerate(typed):
        flag, equals, value = word.partition("=")
        flag = SHORT.get(flag, flag)
        if flag in known and (equals or number + 1 < len(typed)):
            yield flag, value if equals else typed[number + 1]


def _speaks_of(message: str, value: str) -> bool:
    """Whether a message names a value: between quotes, after "is" or "got", or as a path."""
    said = re.escape(value)
    if re.search(rf"(['\"]){said}\1|\b(?:is|got) {said}(?:\.0)?(?![\w.])", message):
        return True
    return os.sep in value and re.search(rf"(?<![\w/]){said}(?![\w/])", message) is not None


@functools.cache
def options() -> dict[str, str]:
    """Every option of every verb by the name of its argument: "on_bad_row" -> "--on-bad-row"."""
    from typer.main import get_command

    from plait.cli.main import app

    found: dict[str, str] = {}
    waiting = [get_command(app)]
    while waiting:
        command = waiting.pop()
        waiting += getattr(command, "commands", {}).values()
        for one in command.params:
            long = [name for name in one.opts if name.startswith("--")]
            if long and one.name:
                found.setdefault(one.name, long[0])
    return found | {name: found[other] for name, other in OTHER_NAMES.items()}


def _command(call: re.Match[str]) -> str:
    verb = VERBS.get(call[1], call[1])
    return " ".join(["plait", verb, *re.split(r",\s*(?=\w+=|[A-Z]|$)", call[2])]).rstrip()


def _option(match: re.Match[str]) -> str:
    flag, value = options()[match["name"]], match["value"]
    if value is None or value == "True":
        return flag
    value = match["list"] or value
    plain = value[1:-1] if value[0] in "'\"" else value
    if plain == "\\t":  # a tab, as shells write it
        return f"{flag} $'\\t'"
    return f"{flag} {plain if PLAIN.fullmatch(plain) else value}"
