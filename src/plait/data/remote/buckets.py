"""One object of a bucket or hub (``s3://``, ``gs://``, ``hf://``) through fsspec and its library for that scheme.

Endpoint, region and credentials are those of the library's own configuration (``AWS_*``, ``~/.aws``,
``GOOGLE_APPLICATION_CREDENTIALS``, ``HF_TOKEN``, fsspec's files); an address names a bucket and a key, and no more.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from plait.data.remote.fault import NotFetchedError

PIECE = 4 * 2**20
PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "hf": "huggingface_hub"}
_CHANGED_BY = ("ETag", "etag", "sha256", "blob_id", "generation", "md5Hash")
_TIMES = ("LastModified", "last_modified", "mtime", "updated", "created")
_PASSING_NAMES = ("Connect", "Timeout", "TimedOut", "Endpoint", "Offline", "SlowDown", "ServiceUnavailable")
_PASSING_NUMBERS = (errno.EBUSY, errno.EIO, errno.EAGAIN, errno.ETIMEDOUT)


def file_system(scheme: str) -> Any:
    """The file system of a scheme in fsspec, with listings of its own.

    Raises:
        ImportError: fsspec or the library of the scheme is missing; the message names the extra.
    """
    try:
        import fsspec

        if scheme == "gs":
            return _google_storage(fsspec)
        return fsspec.filesystem(scheme, skip_instance_cache=True, **(_s3_options(fsspec) if scheme == "s3" else {}))
    except ImportError as error:
        raise ImportError(
            f"cells with {scheme}:// addresses need fsspec and {PACKAGES[scheme]}; type pip install 'plait[remote]'",
            name=PACKAGES[scheme],
        ) from error


def _s3_options(fsspec: Any) -> dict[str, Any]:
    """One try of botocore a call: s3fs tries five times around it, and the table three times around that.

    With all of botocore's tries it is most of a minute until a host that cannot be reached is given up.
    """
    own = fsspec.config.conf.get("s3", {}).get("config_kwargs") or {}
    return {"config_kwargs": {"retries": {"max_attempts": 1}, **own}}


def _google_storage(fsspec: Any) -> Any:
    """That of Google, of which gcsfs has two.

    Its usual class asks Google over gRPC what kind of bucket it is. Without credentials it does so in vain, anew for
    every object, logging each time, and where ``STORAGE_EMULATOR_HOST`` names another server too. The plain class asks
    the JSON API alone.
    """
    if not os.environ.get("STORAGE_EMULATOR_HOST"):
        system = fsspec.filesystem("gs", skip_instance_cache=True)
        if getattr(getattr(system, "credentials", None), "credentials", None) is not None:
            return system
    from gcsfs.core import GCSFileSystem

    return GCSFileSystem(token="anon", skip_instance_cache=True)


def fetch_from_bucket(
    system: Any, address: str, write: Callable[[bytes], object], *, most_bytes: int, until: float,
    known: Mapping[str, str] | None = None,
) -> dict[str, str] | None:  # fmt: skip
    """Fetch an object, piece by piece.

    Args:
        system: From :func:`file_system`.
        address: Its address.
        write: Takes each piece; what it raises is handed on.
        most_bytes: Most bytes that are taken.
        until: When to give up, on the clock of ``time.monotonic``; looked at between pieces.
        known: What was returned when the object was fetched before.

    Returns:
        By what a changed object is noticed: ``etag``, ``modified`` and ``size``, as far as they are known. None where
        they are as in ``known``; nothing is written then.

    Raises:
        NotFetchedError: It is not there, may not be read, is too large, or took too long.
    """
    path = address.partition("://")[2]
    if "@" in path.partition("/")[0] and not address.lower().startswith("hf://"):
        why = "the address holds a name or a password; credentials are those of the library's own configuration"
        raise NotFetchedError("not_allowed", why)
    found = _asked(lambda: system.info(path))
    if found.get("type") == "directory":
        raise NotFetchedError("not_fetched", "it is a folder; expected an object")
    facts = _facts(found)
    if known and facts and facts == {name: known.get(name) for name in facts}:
        return None
    size = found.get("size")
    if size is not None and size > most_bytes:
        raise NotFetchedError("too_large", f"the file at the address has more than {most_bytes:,} bytes")
    file = _asked(lambda: system.open(path, "rb"))
    try:
        taken = 0
        while piece := _asked(lambda: file.read(PIECE)):
            taken += len(piece)
            if taken > most_bytes:
                raise NotFetchedError("too_large", f"the file at the address has more than {most_bytes:,} bytes")
            if time.monotonic() > until:
                raise NotFetchedError("too_slow", "the host of the address did not answer in time", is_passing=True)
            write(piece)
    finally:
        file.close()
    if size is not None and taken < size:
        raise NotFetchedError("not_fetched", "the file at the address came cut short", is_passing=True)
    return facts


def _facts(found: Mapping[str, Any]) -> dict[str, str]:
    """What tells a version of an object from another one; a size alone does not."""
    facts = {}
    for fact, names in (("etag", _CHANGED_BY), ("modified", _TIMES)):
        value = next((found[name] for name in names if found.get(name) is not None), None)
        if value is not None:
            facts[fact] = str(value)
    if facts and found.get("size") is not None:
        facts["size"] = str(found["size"])
    return facts


def _asked(ask: Callable[[], Any]) -> Any:
    """What a library answers; whatever it raises, in a few words that hold nothing secret."""
    try:
        return ask()
    except ImportError:
        raise
    except FileNotFoundError as error:
        raise NotFetchedError("not_fetched", "there is no such object") from error
    except Exception as error:  # libraries raise errors of their own, with whole requests in some of them
        name = type(error).__name__
        if "NotFound" in name:
            raise NotFetchedError("not_fetched", "there is no such object") from None
        if isinstance(error, PermissionError) or "Credential" in name or "Forbidden" in name:
            why = f"it may not be read ({name}); credentials are those of the library's own configuration"
            raise NotFetchedError("not_fetched", why) from None
        raise NotFetchedError("not_fetched", f"its library says {name}", is_passing=_is_passing(error)) from None


def _is_passing(error: BaseException) -> bool:
    """Whether an error says that the host cannot be reached, or is busy."""
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    if isinstance(error, OSError) and error.errno in _PASSING_NUMBERS:
        return True
    return any(word in kind.__name__ for kind in type(error).__mro__ for word in _PASSING_NAMES)
