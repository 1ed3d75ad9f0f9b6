"""Options and verbs of AutoGluon and scikit-learn on the command line: what to type here, all wrong words at once."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from plait.cli.wording import as_typed
from plait.registry import unknown_name
from plait.settings.other_words import NAMES, OF_VERB, TABLE, can_be_pasted, instead_of

FLAGS = {"progress=False": "--quiet", "as_frame={}": "", "lang='zh'": "--lang zh"}


def verb_instead(word: str) -> str | None:
    """What to type for a verb of another tool, None for no such.

    Example:
        >>> verb_instead("train")
        'plait fit'
    """
    word = word.replace("-", "_")
    found = NAMES.get(word) or NAMES.get(word.lower())
    return None if found is None else as_typed(found[1])


def options_instead(command: Any, path: str, words: Sequence[str]) -> str | None:
    """The message for options that a verb does not have.

    Args:
        command: The verb, as typer made it.
        path: As it is called, such as "plait fit".
        words: What was typed behind it.

    Returns:
        All wrong options, what to type for each, and the whole line where it can be pasted; None: no option is wrong,
        or none is a word of others.
    """
    known = {flag: option for option in command.params for flag in (*option.opts, *option.secondary_opts)}
    verb = path.rpartition(" ")[2].replace("-", "_")
    own = OF_VERB.get(verb, {})
    kept, wrong, is_known = _sorted_out(known, words, own)
    if not is_known:
        return None
    lines, added, can_paste = [], [], True
    for flag, value in wrong:
        name = flag.lstrip("-").replace("-", "_")
        entry = instead_of(name, value, own)
        if entry is None:
            lines.append(f"  {flag}: {unknown_name('option', flag, sorted(f for f in known if f.startswith('--')))}")
            can_paste = False
            continue
        typed = typed_in_shell(entry[0], value or name.upper()) if entry[0] else []
        if any(word.startswith("--") and word not in known for word in typed):
            lines.append(f"  {flag}: {verb.replace('_', '-')} has nothing like it")
            can_paste = False
            continue
        if entry is TABLE and value and not _tables(known, kept):
            kept.insert(0, value)
        added += [word for word in typed if word]
        can_paste &= can_be_pasted(entry)
        told = ("type " + in_shell(typed) if typed else "", as_typed(entry[1]))
        lines.append(f"  {flag}: " + (", ".join(filter(None, told)) or "leave it out"))
    said = f"no such option of {path}: {', '.join(flag for flag, _ in wrong)}"
    if not can_paste:
        return "\n".join([said, *lines])
    needed = [
        o for o in command.params if o.required and o.param_type_name == "option" and not {*o.opts} & {*kept, *added}
    ]
    added += [word for o in needed for word in (o.opts[-1], "model" if o.name == "output" else (o.name or "").upper())]
    return "\n".join([f"{said}. Type", f"  {path} {in_shell([*kept, *added])}", *lines])


def _sorted_out(
    known: dict[str, Any], words: Sequence[str], own: Mapping[str, tuple[str, str]]
) -> tuple[list[str], list[tuple[str, str]], bool]:
    """The words that stay, the wrong options with their values, and whether one of these is a word of others."""
    kept: list[str] = []
    wrong: list[tuple[str, str]] = []
    at = 0
    while at < len(words):
        flag, equals, value = words[at].partition("=")
        at += 1
        if flag == "--":
            kept += [flag, *words[at:]]
            break
        follows = not equals and at < len(words) and not words[at].startswith("--")
        if not flag.startswith("--") or flag in known:
            kept.append(words[at - 1])
            if flag in known and follows and not getattr(known[flag], "is_flag", False):
                kept.append(words[at])
                at += 1
            continue
        if follows:
            value = words[at]
            at += 1
        wrong.append((flag, value))
    return kept, wrong, any(instead_of(flag.lstrip("-").replace("-", "_"), value, own) for flag, value in wrong)


def _tables(known: dict[str, Any], kept: Sequence[str]) -> list[str]:
    """The words that are no option and no value of one."""
    found, at = [], 0
    while at < len(kept):
        if kept[at].startswith("-") and kept[at] in known:
            at += 1 if getattr(known[kept[at]], "is_flag", False) else 2
            continue
        found.append(kept[at])
        at += 1
    return found


def typed_in_shell(typed: str, value: str) -> list[str]:
    """The words of a command line for an entry of the table.

    Example:
        >>> typed_in_shell("target={}", "price"), typed_in_shell("task.select_by='f1_macro'", "f1")
        (['--target', 'price'], ['--set', 'task.select_by=f1_macro'])
    """
    if typed in FLAGS:
        return FLAGS[typed].split()
    words: list[str] = []
    for one in typed.split(", "):
        name, _, given = one.partition("=")
        given = value if given == "{}" else given.strip("'")
        words += ["--set", f"{name}={given}"] if "." in name else [f"--{name.replace('_', '-')}", given]
    return words


def in_shell(words: Iterable[str]) -> str:
    """Words of a command line as they are typed, quoted where they must be."""
    return " ".join(shlex.quote(word) for word in words)
