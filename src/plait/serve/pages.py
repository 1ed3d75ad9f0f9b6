"""The two pages of a server, each one file without anything from elsewhere; scripts run by a nonce only."""

from __future__ import annotations

import functools
import secrets
from importlib.resources import files


def model_page() -> tuple[str, str]:
    """The page that uses the model, and its nonce."""
    return _page("page.html")


def docs_page() -> tuple[str, str]:
    """The page that shows the API, and its nonce."""
    return _page("docs.html")


def security_of(nonce: str) -> dict[str, str]:
    """Headers that let a page run its own script and reach its own server, and nothing else."""
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src data: blob:; "
        "media-src blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return {"Content-Security-Policy": policy, "Permissions-Policy": "camera=(self), microphone=(self), geolocation=()"}


def _page(name: str) -> tuple[str, str]:
    nonce = secrets.token_urlsafe(16)
    return _text(name).replace("NONCE", nonce), nonce


@functools.cache
def _text(name: str) -> str:
    return files("plait.serve").joinpath(name).read_text("utf-8")
