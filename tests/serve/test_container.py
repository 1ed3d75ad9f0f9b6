"""The Dockerfile, read as text: no root, nothing writable, nothing from elsewhere; its commands are ours."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "Dockerfile").read_text("utf-8")


def instructions() -> list[tuple[str, str]]:
    """Name and text of each instruction, continued lines joined."""
    lines = [line for line in TEXT.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(line.split()[0], line.partition(" ")[2].strip()) for line in joined.splitlines()]


def the(name: str) -> str:
    """The last instruction of a name."""
    return [text for found, text in instructions() if found == name][-1]


def last_stage() -> list[tuple[str, str]]:
    found = instructions()
    start = max(i for i, (name, _) in enumerate(found) if name == "FROM")
    return found[start:]


def test_it_runs_as_nobody_in_particular() -> None:
    user = [text for name, text in last_stage() if name == "USER"][-1]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user), "a number, so that Kubernetes can see that it is not root"
    after = [name for name, _ in last_stage()][[name for name, _ in last_stage()].index("USER") :]
    assert not {"RUN", "COPY"} & set(after) and not [text for name, text in last_stage() if name == "RUN"]


def test_nothing_comes_from_elsewhere_but_packages() -> None:
    names = [name for name, _ in instructions()]
    assert "ADD" not in names and not re.search(r"https?://(?!127\.0\.0\.1)|\bcurl\b|\bwget\b|\bapt", TEXT)
    for image in [text.split()[0] for name, text in instructions() if name == "FROM"]:
        assert image == "python:${PYTHON}-slim" and ":latest" not in image
    assert 'TORCH_INDEX=""' in TEXT, "which index answers is the user's setting"
    asked = next(line for line in TEXT.splitlines() if line.startswith("ARG PYTHON="))
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    assert f"Python :: {asked.partition('=')[2]}" in project


def test_what_is_copied_is_there_and_let_in() -> None:
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert [line for line in ignored if line and line[0] != "#"][0] == "*"
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    copied = [text.split()[:-1] for name, text in instructions() if name == "COPY" and "--from=" not in text]
    names = {name for names in copied for name in names}
    assert names == let_in and all((ROOT / name).exists() for name in names)


def test_everything_that_may_be_written_lies_in_tmp() -> None:
    stage = dict(pair.split("=", 1) for name, text in last_stage() if name == "ENV" for pair in shlex.split(text))
    assert {stage[name].split("/")[1] for name in ("HOME", "TMPDIR", "HF_HOME")} == {"tmp"}
    assert stage["HF_HUB_OFFLINE"] == stage["PYTHONDONTWRITEBYTECODE"] == "1" and stage["PLAIT_CACHE"] == "/cache"
    assert [text for name, text in last_stage() if name == "WORKDIR"] == ["/tmp"]
    usage = " ".join(line.lstrip("# ") for line in TEXT.splitlines() if line.startswith("#"))
    assert "--read-only --tmpfs /tmp --cap-drop ALL" in usage and ":/model:ro" in usage


def test_its_commands_are_ours() -> None:
    from plait.serve import ServeOptions

    command = [*ast.literal_eval(the("ENTRYPOINT")), *ast.literal_eval(the("CMD"))]
    assert command == ["plait", "serve", "/model", "--host", "0.0.0.0"]
    assert str(ServeOptions().port) == the("EXPOSE")
    health = re.search(r"CMD (\[.*\])", the("HEALTHCHECK"))
    assert health is not None
    python, flag, code = ast.literal_eval(health[1])
    assert (python, flag) == ("python", "-c") and f"127.0.0.1:{the('EXPOSE')}/health" in code
    ast.parse(code)
    for word in ("--interval=", "--timeout=", "--start-period="):
        assert word in the("HEALTHCHECK")


@pytest.mark.parametrize("extra", ["serve", "audio"])
def test_its_extras_exist(extra: str) -> None:
    assert re.search(rf"^{extra} = \[", (ROOT / "pyproject.toml").read_text("utf-8"), flags=re.MULTILINE)
    assert extra in re.search(r'ARG EXTRAS="(.*)"', TEXT)[1].split(",")  # type: ignore[index]
