"""Whether anybody listens at the endpoint that the environment names, asked before a library tries for long.

Libraries of object storage repeat what fails, each layer of them anew, and then tell neither host nor port. Where the
endpoint is named (``AWS_ENDPOINT_URL`` and the like) one connection shows at once that it is down or mistyped. Behind a
proxy, and where no endpoint is named, nothing is asked here.
"""

from __future__ import annotations

import os
import socket
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from plait.data.remote.address import without_secrets
from plait.data.remote.fault import NotFetchedError

VARIABLES = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"), "gs": ("STORAGE_EMULATOR_HOST",), "hf": ("HF_ENDPOINT",),
}  # fmt: skip
SECONDS = 3.0


def check_endpoint(scheme: str) -> None:
    """Connect to the endpoint of a scheme once, if the environment names one.

    Args:
        scheme: "s3", "gs" or "hf"; others have no endpoint here.

    Raises:
        NotFetchedError: Nobody answers there; the message names the endpoint and the variable.
    """
    named = next(((name, os.environ[name]) for name in VARIABLES.get(scheme, ()) if os.environ.get(name)), None)
    if named is None:
        return
    variable, value = named
    address = value if "://" in value else f"http://{value}"
    shown = without_secrets(address)
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise NotFetchedError("not_allowed", f"{variable} is {shown}, which is no address: {error}") from error
    if not host or (parts.scheme in getproxies() and not proxy_bypass(host)):
        return
    try:
        socket.create_connection((host, port), SECONDS).close()
    except OSError as error:
        why = f"nobody answers at {shown} ({_reason(error)}), which {variable} names"
        raise NotFetchedError("not_fetched", why, is_passing=True) from error


def _reason(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return "its name cannot be looked up"
    if isinstance(error, TimeoutError):
        return f"nothing within {SECONDS:g} s"
    return (error.strerror or type(error).__name__).lower()
