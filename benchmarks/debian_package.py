"""One Debian package as files on disk, without root: fetched by ``apt-get download``, or a ``.deb`` at hand.

In comes the name of a package, or a path; out comes the ``.deb`` in the cache and, from :func:`unpack_deb`, its
version and those of its files that are asked for. Nothing is installed and no script of the package runs. A
``.deb`` is an ``ar`` archive with two tarballs; both are read here as streams, and only ordinary files with
plain relative names are written, up to fixed limits. A tarball in Zstandard is unpacked by ``dpkg-deb``.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from plait.data.catalog.wheels import FetchError, wheel_cache
from plait.data.progress import Progress

MOST_BYTES = 2_000_000_000
MOST_FILES = 100_000
SECONDS_BETWEEN_LOOKS = 0.3
_AR_MAGIC = b"!<arch>\n"
_OPENERS = {"": "r|", ".gz": "r|gz", ".bz2": "r|bz2", ".xz": "r|xz"}


@dataclass(frozen=True)
class Unpacked:
    """What a package holds.

    Attributes:
        package: Its name, as it says itself.
        version: Its version.
        sha256: The hash of the ``.deb``.
        num_files: How many files were written.
    """

    package: str
    version: str
    sha256: str
    num_files: int


def fetch_deb(
    package: str, *, known: dict[str, str], num_bytes: int = 0, progress: Progress, timeout_s: float = 1800.0
) -> Path:
    """Download a package with apt-get into the cache, and return the path of the ``.deb``.

    A package in the cache whose hash is among the known ones is used again.

    Args:
        package: Its name in the Debian archive.
        known: Hashes (sha256) by version, for versions that were examined.
        num_bytes: About how large it is; only for ``progress``.
        progress: Told of the megabytes that have arrived.
        timeout_s: Longest time for the download, in seconds.

    Raises:
        FetchError: No apt-get, no network, no such package, or a file that is not the known one.
    """
    cache = wheel_cache().parent / "debs"
    for kept in sorted(cache.glob(f"{package}_*.deb"), reverse=True):
        if sha256_of(kept) in known.values():
            return kept
    apt = shutil.which("apt-get")
    by_hand = f"On a Debian machine type 'apt-get download {package}', then pass the file with --from FILE.deb"
    if apt is None:
        raise FetchError(f"cannot fetch the Debian package {package}: apt-get was not found. {by_hand}")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=cache, ignore_cleanup_errors=True) as scratch:
        code, said = _run_apt([apt, "download", package], Path(scratch), num_bytes, progress, timeout_s)
        found = sorted(Path(scratch).glob("*.deb"))
        if code != 0 or len(found) != 1:
            raise FetchError(
                f"apt-get could not download {package} (it ended with {code}). Check the network, or type "
                f"'apt-get update' as root first. {by_hand}\n{said.strip()[-600:]}"
            )
        place = cache / found[0].name
        os.replace(found[0], place)
    return place


def _run_apt(command: list[str], folder: Path, num_bytes: int, progress: Progress, timeout_s: float) -> tuple[int, str]:
    what, total = f"fetching {command[-1]}, MB", num_bytes // 1_000_000
    ends = time.monotonic() + timeout_s
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT,
            env={**os.environ, "LC_ALL": "C"},
        ) as process,
    ):  # fmt: skip
        try:
            while (code := process.poll()) is None:
                arrived = 0
                for path in folder.iterdir():
                    with contextlib.suppress(OSError):  # a part file is renamed meanwhile
                        arrived += path.stat().st_size
                progress(min(arrived // 1_000_000, total or arrived), total, what)
                if time.monotonic() >= ends:
                    raise FetchError(f"{' '.join(command)} did not end within {timeout_s:g} s; try again")
                time.sleep(SECONDS_BETWEEN_LOOKS)
        except BaseException:
            process.kill()
            raise
        progress(total, total, what)
        said.seek(0)
        return code, said.read().decode("utf-8", "replace")


def unpack_deb(path: Path, into: Path, *, wanted: Callable[[str], bool], known: dict[str, str]) -> Unpacked:
    """Write those files of a package that are wanted.

    Args:
        path: The ``.deb``.
        into: An existing folder; files keep their paths in the package below it.
        wanted: Told the path of each file (``usr/share/...``), says whether to write it.
        known: Hashes by version; a package of a version in it must have that hash.

    Raises:
        ValueError: No such file, not a Debian package, damaged, or larger than the limits.
    """
    if not path.is_file():
        raise ValueError(f"no such file: {path}; expected a Debian package (.deb)")
    digest = sha256_of(path)
    try:
        facts = _read_control(path)
        version = facts.get("Version", "")
        if known.get(version, digest) != digest:
            raise ValueError(
                f"{path} says that it is version {version} but is not that file (sha256 {digest[:12]}..., expected "
                f"{known[version][:12]}...); delete it and fetch it again"
            )
        count = _write_files(path, into, wanted)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ValueError(f"{path}: cannot be unpacked ({type(error).__name__}: {str(error)[:200]})") from error
    return Unpacked(facts.get("Package", ""), version, digest, count)


def _read_control(path: Path) -> dict[str, str]:
    with _tarball(path, "control") as tar:
        for member in tar:
            if member.isreg() and PurePosixPath(member.name).name == "control" and member.size < 100_000:
                text = _content(tar, member).read().decode("utf-8", "replace")
                lines = (line.partition(":") for line in text.splitlines() if line[:1].strip())
                return {name: value.strip() for name, _, value in lines}
    raise ValueError(f"{path}: no control file in it; expected a Debian package")


def _write_files(path: Path, into: Path, wanted: Callable[[str], bool]) -> int:
    seen = written = num_bytes = 0
    with _tarball(path, "data") as tar:
        for member in tar:
            seen, num_bytes = seen + 1, num_bytes + member.size
            if seen > MOST_FILES or num_bytes > MOST_BYTES:
                raise ValueError(
                    f"{path}: more than {MOST_FILES:,} files or {MOST_BYTES // 10**6:,} MB; this is not the package "
                    "that was expected"
                )
            name = PurePosixPath(member.name)
            if not member.isreg() or not wanted(name.as_posix()):
                continue
            if name.is_absolute() or ".." in name.parts or "\\" in member.name:
                raise ValueError(f"{path}: holds the path {member.name!r}, which leads out of the folder; not unpacked")
            place = into / name
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("xb") as out:
                shutil.copyfileobj(_content(tar, member), out)
            written += 1
    return written


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = tar.extractfile(member)
    assert content is not None
    return content


@contextlib.contextmanager
def _tarball(path: Path, part: str) -> Iterator[tarfile.TarFile]:
    """Open the control or the data tarball of a package as a stream."""
    with path.open("rb") as stream:
        if stream.read(len(_AR_MAGIC)) != _AR_MAGIC:
            raise ValueError(f"{path}: not a Debian package (no ar archive)")
        while header := stream.read(60):
            try:
                name, size = header[:16].decode("ascii").strip().rstrip("/"), int(header[48:58])
            except ValueError as error:
                raise ValueError(f"{path}: a broken ar header; the file is damaged") from error
            if len(header) < 60 or header[58:] != b"`\n" or size < 0:
                raise ValueError(f"{path}: a broken ar header; the file is damaged")
            if size > path.stat().st_size - stream.tell():
                raise ValueError(f"{path}: ends in the middle of {name}; the file is damaged, fetch it again")
            if name.startswith(f"{part}.tar"):
                suffix = name.removeprefix(f"{part}.tar")
                if suffix not in _OPENERS:
                    with _by_dpkg(path, part, suffix) as plain, tarfile.open(fileobj=plain, mode="r|") as tar:
                        yield tar
                    return
                mode: Any = _OPENERS[suffix]
                section: Any = _Section(stream, size)
                with tarfile.open(fileobj=section, mode=mode) as tar:
                    yield tar
                return
            stream.seek(size + size % 2, os.SEEK_CUR)
    raise ValueError(f"{path}: holds no {part}.tar; expected a Debian package")


class _Section:
    """The next bytes of a stream, as a file of their own."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self.stream, self.left = stream, size

    def read(self, size: int = -1) -> bytes:
        chunk = self.stream.read(self.left if size < 0 else min(size, self.left))
        self.left -= len(chunk)
        return chunk


@contextlib.contextmanager
def _by_dpkg(path: Path, part: str, suffix: str) -> Iterator[IO[bytes]]:
    dpkg = shutil.which("dpkg-deb")
    if dpkg is None:
        raise ValueError(
            f"{path}: {part}.tar{suffix} needs dpkg-deb to be unpacked, which was not found; use the package of "
            "Debian itself (xz), or unpack on a Debian machine"
        )
    option = {"control": "--ctrl-tarfile", "data": "--fsys-tarfile"}[part]
    with subprocess.Popen([dpkg, option, str(path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        try:
            yield process.stdout
        finally:
            process.kill()


def sha256_of(path: Path) -> str:
    """The hash of a file, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
