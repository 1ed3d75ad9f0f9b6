"""Addresses of objects in cells: which there are, what of them may be shown, and under which name they are remembered.

What stands before the host (``user:password@``) and behind the path (signatures, tokens) may be a secret, and is never
shown. The name of an address is a sha256, in which the signature of a signed address plays no part: signed anew, it is
the same object.
"""

from __future__ import annotations

import hashlib
import re
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

BUCKETS = ("s3", "gs", "hf")
WEB = "https"
FETCHED = (*BUCKETS, WEB)
HIDDEN = "***"

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]+)://")
_WHOLE = re.compile(
    r"((?!file:)[A-Za-z][A-Za-z0-9+.\-]*://)(?:[^/?#]*@)?([^?#]*)(?:([?#]).*)?", re.DOTALL | re.IGNORECASE
)
_INSIDE = re.compile(
    r"((?<![A-Za-z0-9+.\-])(?!file:)[A-Za-z][A-Za-z0-9+.\-]*://)(?:[^/?#\s'\"]*@)?([^?#\s'\"]*)(?:([?#])\S*)?",
    re.IGNORECASE,
)
_SIGNED = {"x-amz-signature", "x-goog-signature", "signature", "sig"}
_OF_SIGNATURES = {
    "awsaccesskeyid", "googleaccessid", "signature", "expires", "key-pair-id", "policy",
    "sig", "se", "st", "sp", "sv", "sr", "spr", "sip", "skoid", "sktid", "skt", "ske", "sks", "skv",
}  # fmt: skip


def scheme_of(value: object) -> str | None:
    """The scheme of an address, in lower case; None for what is none.

    Example:
        >>> scheme_of("S3://bucket/a.jpg"), scheme_of("photos/a.jpg")
        ('s3', None)
    """
    found = _SCHEME.match(value) if isinstance(value, str) else None
    return None if found is None else found.group(1).lower()


def is_remote(value: object) -> bool:
    """Whether a cell is the address of an object that may be fetched: ``s3://``, ``gs://``, ``hf://``, ``https://``."""
    return scheme_of(value) in FETCHED


def path_of_address(text: str) -> str:
    """The path of an address, without its query; the text itself when it is no well-formed address."""
    try:
        return urlsplit(text).path
    except ValueError:
        return text


def without_secrets(text: str) -> str:
    """A text whose addresses have lost names, passwords and all that stands behind their paths.

    Example:
        >>> without_secrets("https://me:word@a.org/b.jpg?sig=abc")
        'https://a.org/b.jpg?***'
    """
    whole = _WHOLE.fullmatch(text)
    if whole is not None:
        return _shown(whole)
    return _INSIDE.sub(_shown, text)


def address_key(address: str) -> str:
    """The sha256 under which an address is remembered, in hexadecimal; signed anew, it has the same one."""
    try:
        parts = urlsplit(address)
        query = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        return _sha256(address)
    if not any(name.lower() in _SIGNED for name, _ in query):
        return _sha256(address)
    kept = [
        (name, value) for name, value in query
        if name.lower() not in _OF_SIGNATURES and not name.lower().startswith(("x-amz-", "x-goog-"))
    ]  # fmt: skip
    return _sha256(urlunsplit(parts._replace(query=urlencode(kept))))


def _shown(found: re.Match[str]) -> str:
    start, path, mark = found.groups()
    return f"{start}{path}{mark + HIDDEN if mark else ''}"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
