"""Messages of the library, which name arguments as Python writes them, as the command line types them.

The library says ``target='label'``, ``overwrite=True``, ``set=['train.epochs=3']``, ``plait.fit(TABLE, target=COL)``.
On a terminal that is ``--target label``, ``--overwrite``, ``--set train.epochs=3``, ``plait fit TABLE --target COL``.
Only names that are options of some verb are turned; what stands between quotes is the user's own and stays.
"""

from __future__ import annotations

import functools
import re

VALUE = r"""True|\[(?P<list>'[^']*'|"[^"]*")\]|'[^']*'|"[^"]*"|[A-Z]+\b|[\w./:-]*\w"""
PLAIN = re.compile(r"[^\s;()\"'<>|*?{}\[\]]+")  # needs no quotes in a shell
VERBS = {"build_index": "index build", "two_tower": "two-tower"}


def as_typed(message: str) -> str:
    """The message in the words of the command line.

    Example:
        >>> as_typed("m exists; type overwrite=True, or name it with target='a b' (got 'target=x')")
        "m exists; type --overwrite, or name it with --target 'a b' (got 'target=x')"
        >>> as_typed("plait.fit(TABLE, task='retrieval', set=['train.epochs=3']) makes one")
        'plait fit TABLE --task retrieval --set train.epochs=3 makes one'
    """
    message = re.sub(r"\bplait\.(\w+)\(((?:[^()'\"]|'[^']*'|\"[^\"]*\")*)\)", _command, message)
    names = "|".join(sorted(options(), key=len, reverse=True))
    return re.sub(rf"(?<![\w.'\"=-])(?P<name>{names})=(?P<value>{VALUE})?(?![='\"])", _option, message)


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
    return found


def _command(call: re.Match[str]) -> str:
    verb = VERBS.get(call[1], call[1])
    return " ".join(["plait", verb, *re.split(r",\s*(?=\w+=|[A-Z]|$)", call[2])]).rstrip()


def _option(match: re.Match[str]) -> str:
    flag, value = options()[match["name"]], match["value"]
    if value is None or value == "True":
        return flag
    value = match["list"] or value
    plain = value[1:-1] if value[0] in "'\"" else value
    return f"{flag} {plain if PLAIN.fullmatch(plain) else value}"
