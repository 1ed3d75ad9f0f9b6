"""What is refused before anything slow is imported: folders of the wrong kind, an address that is taken, no extra."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import socket
from pathlib import Path

from plait.serve.options import ServeOptions

INSTALL = "serving needs FastAPI, uvicorn and python-multipart; type: pip install 'plait[serve]'"
INDEX = "index.json"
NEEDS = ("fastapi", "uvicorn", "python_multipart")
ANSWERING = ("classification", "multilabel", "regression", "matching", "captioning", "vqa", "vqa_open")  # no embedding


def require_extra() -> None:
    """Refuse to serve without what serves.

    Raises:
        ImportError: The message names the extra.
    """
    if any(importlib.util.find_spec(name) is None for name in NEEDS):
        raise ImportError(INSTALL)


def check_names(model: Path, index: Path | None) -> None:
    """Refuse folders that are not there or swapped, by the names in them alone: nothing is imported for it.

    Raises:
        FileNotFoundError: No such folder.
        ValueError: It is something else; the message says what to type.
    """
    if not model.is_dir():
        what = "is a file, and a model is a folder" if model.exists() else "does not exist"
        raise FileNotFoundError(f"{model} {what}; plait.fit(TABLE, target=COLUMN, output={str(model)!r}) makes a model")
    if (model / INDEX).exists() and not (model / "inputs.json").exists():
        raise ValueError(f"{model} is an index, and a model is served: type plait serve MODEL {model}")
    if index is not None and not (index / INDEX).exists() and (index / "inputs.json").exists():
        raise ValueError(f"{index} is a model, and an index was expected; make one with plait index build")


def check_model(model: Path, index: Path | None) -> None:
    """Refuse what is no finished model, or one that cannot search beside an index, before it is read.

    Raises:
        ValueError: As :func:`plait.load`, or the model embeds nothing.
    """
    from plait.api.folder_checks import check_model_there

    check_model_there(model)
    task = _task_of(model)
    if index is not None and task in ANSWERING:
        raise ValueError(
            f"{model} is a model of {task}, and only a retrieval model searches {index}; leave the index out, or name "
            "the model that made it"
        )


def _task_of(model: Path) -> str | None:
    """The task that a model folder says it is for; None where the file is damaged, which reading it will tell."""
    from plait.api.folder_swap import current

    with contextlib.suppress(OSError, ValueError, AttributeError):
        task = json.loads((current(model) / "config.json").read_text(encoding="utf-8")).get("task")
        return task if isinstance(task, str) else None
    return None


def bind(options: ServeOptions) -> socket.socket:
    """The address, taken but not listened on yet: who connects while the model is loaded is told that nobody is there.

    Raises:
        OSError: It cannot be had.
    """
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    if os.name != "nt":  # there it would let two servers have one port
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((options.host, options.port))
    except OSError as error:
        made.close()
        raise _cannot(options, error) from error
    made.set_inheritable(True)
    return made


def listen(bound: socket.socket, options: ServeOptions) -> None:
    """Take connections.

    Raises:
        OSError: Another process began to listen there meanwhile.
    """
    try:
        bound.listen(1024)
    except OSError as error:
        bound.close()
        raise _cannot(options, error) from error


def _cannot(options: ServeOptions, error: OSError) -> OSError:
    advice = "; name another with port=N" if options.port and "in use" in (error.strerror or "") else ""
    return OSError(error.errno, f"cannot listen on {options.host} port {options.port}: {error.strerror}{advice}")


def address_of(bound: socket.socket, options: ServeOptions) -> str:
    """What to type into a browser on this machine."""
    host, port = bound.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104  compared, not bound
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
