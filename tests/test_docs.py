"""The documentation is true: its runnable blocks run, its links lead somewhere, its commands exist.

A Python block runs when its fence says so (three backticks, then ``python run``). Each runs alone, in an
empty folder, without the network. Every ``plait ...`` line of a shell block is read against the command line.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fixtures import warm

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```\s*$", flags=re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def blocks() -> Iterator[tuple[str, str, str]]:
    """(page:line, fence words, body) of every fenced block."""
    for page in PAGES:
        text = page.read_text("utf-8")
        for match in FENCE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            yield f"{page.relative_to(ROOT).as_posix()}:{line}", match.group(1).strip(), match.group(2)


def runnable() -> list[tuple[str, str]]:
    """(page:line, body) of every block that is to be run; one that another page has in another language runs once."""
    found: dict[str, tuple[str, str]] = {}
    for place, words, body in blocks():
        if words.split() == ["python", "run"]:
            found.setdefault(ast.dump(ast.parse(body)), (place, body))
    return list(found.values())


RUNNABLE = runnable()


def commands() -> list[tuple[str, str]]:
    """(place, command line) of every plait command in a shell block, continuation lines joined."""
    found = []
    for place, words, body in blocks():
        if words.split()[:1] not in (["bash"], ["sh"], ["console"]):
            continue
        for line in body.replace("\\\n", " ").splitlines():
            line = line.strip().removeprefix("$ ")
            if line.startswith("plait "):
                found.append((place, line))
    return found


def test_there_is_something_to_check() -> None:
    assert len(PAGES) >= 8
    assert RUNNABLE, "no block in README or docs is marked `python run`"
    verbs = {shlex.split(line)[1] for _, line in commands()}
    assert {"fit", "evaluate", "predict", "check", "data", "features", "weights"} <= verbs


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("place", "body"), RUNNABLE, ids=[place for place, _ in RUNNABLE])
def test_block_runs(place: str, body: str, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "src"),
        "PLAIT_CACHE": str(tmp_path / "cache"),
        "HF_HUB_OFFLINE": "1",
    }
    script = tmp_path / "block.py"
    script.write_text(body, encoding="utf-8")
    done = warm.run_script(script, folder=tmp_path, environment=environment, seconds=110)
    assert done.returncode == 0, f"{place}\n{done.stderr[-3000:]}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_to_files_exist(page: Path) -> None:
    prose = FENCE.sub("", page.read_text("utf-8"))
    targets = [target.split("#")[0] for target in LINK.findall(prose)]
    local = [target for target in targets if target and not re.match(r"[a-z]+:", target)]
    missing = [target for target in local if not (page.parent / target).exists()]
    assert not missing, f"{page.relative_to(ROOT)} links to {missing}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_inside_a_page_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    headings = re.findall(r"^#+\s+(.+?)\s*$", FENCE.sub("", text), flags=re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    wanted = {target[1:] for target in LINK.findall(text) if target.startswith("#")}
    assert not wanted - anchors, f"{page.relative_to(ROOT)} has no heading for {sorted(wanted - anchors)}"


def command_tree() -> Any:
    import typer

    from plait.cli.main import app

    return typer.main.get_command(app)


def read_command(node: Any, line: str) -> None:
    """Walk one command line down the tree of commands; fail at the first word that is not there."""
    words = shlex.split(line, comments=True)[1:]
    while getattr(node, "commands", None) and words and not words[0].startswith("-"):
        known = sorted(node.commands)
        assert words[0] in known, f"no command {words[0]!r} in: {line}; there are {known}"
        node = node.commands[words.pop(0)]
    named = [p for p in node.params if p.param_type_name == "option"]
    options = {flag: p for p in named for flag in p.opts + p.secondary_opts}
    options.setdefault("--help", None)
    positions = [p for p in node.params if p.param_type_name == "argument"]
    given = 0
    while words:
        word = words.pop(0)
        if word in (">", "|", "2>", ">>"):
            break
        if word.startswith("-") and word != "-":
            flag, equals, _ = word.partition("=")
            assert flag in options, f"no option {flag!r} in: {line}; there are {sorted(options)}"
            option = options[flag]
            if option is not None and not getattr(option, "is_flag", False) and not equals:
                assert words, f"{flag} wants a value in: {line}"
                value = words.pop(0)
                choices = getattr(getattr(option, "type", None), "choices", None)
                assert not choices or value in choices, f"{flag} does not take {value!r} in: {line}"
        elif (getattr(node, "context_settings", None) or {}).get("allow_interspersed_args") is False:
            return read_command(command_tree(), shlex.join(["plait", word, *words]))  # the rest is another verb's
        else:
            given += 1
    assert given <= len(positions) or any(p.nargs == -1 for p in positions), f"too many arguments in: {line}"
    needed = sum(p.required for p in positions)
    if "--help" not in line:
        assert given >= needed, f"{line}: {given} arguments, {needed} needed"
        missing = [p.opts[0] for p in named if p.required]
        absent = [flag for flag in missing if not set(_spellings(node, flag)) & set(shlex.split(line))]
        assert not absent, f"{line}: lacks {absent}"
    return None


def _spellings(node: Any, flag: str) -> list[str]:
    return next(list(p.opts) for p in node.params if flag in p.opts)


@pytest.mark.parametrize(("place", "line"), commands(), ids=[f"{p} {c}" for p, c in commands()])
def test_command_is_real(place: str, line: str) -> None:
    read_command(command_tree(), line)


def test_reader_refuses_a_planted_fault() -> None:
    """The reader itself: a wrong verb and a wrong option are seen."""
    root = command_tree()
    with pytest.raises(AssertionError, match="no command"):
        read_command(root, "plait fitt table.csv --target label -o model")
    with pytest.raises(AssertionError, match="no option"):
        read_command(root, "plait fit table.csv --tarjet label -o model")


def test_both_readmes_show_the_same_commands() -> None:
    def lines(page: str) -> list[str]:
        return [line.split("#")[0].strip() for place, line in commands() if place.startswith(page + ":")]

    assert lines("README.md") == lines("README.zh-CN.md")


def test_readme_test_command_is_what_ci_runs() -> None:
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    for page in ("README.md", "README.zh-CN.md"):
        assert "make test" in (ROOT / page).read_text("utf-8")
    assert re.search(r"^make test$", script, flags=re.MULTILINE)
    assert re.search(r"^make demo$", script, flags=re.MULTILINE)
