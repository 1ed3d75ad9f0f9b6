"""The objects that the cells of columns name, and what kind they are where an address does not tell."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from plait.data.cell_error import CellError
from plait.data.remote.address import is_remote, path_of_address

if TYPE_CHECKING:
    from plait.data.progress import Progress
    from plait.data.table import Table

MOST_LOOKED_AT = 5
_ENDINGS = (
    (b"\x93NUMPY", ".npy"), (b"\xff\xd8\xff", ".jpg"), (b"\x89PNG", ".png"), (b"GIF8", ".gif"), (b"BM", ".bmp"),
    (b"II*\x00", ".tif"), (b"MM\x00*", ".tif"), (b"fLaC", ".flac"), (b"OggS", ".ogg"), (b"ID3", ".mp3"),
    (b"\xff\xfb", ".mp3"), (b"\xff\xf3", ".mp3"), (b"\xff\xf2", ".mp3"), (b"caff", ".caf"), (b".snd", ".au"),
)  # fmt: skip
_RIFF = {b"WEBP": ".webp", b"WAVE": ".wav", b"AIFF": ".aiff"}


def addresses_in(cell: Any) -> Iterator[str]:
    """The addresses that a cell of media holds: itself, those of its list or dictionary, those between ``;`` or ``|``.

    Example:
        >>> list(addresses_in(["s3://b/a.jpg", "c.jpg"]))
        ['s3://b/a.jpg']
    """
    if isinstance(cell, str):
        if is_remote(cell.strip()):
            parts = [part.strip() for part in cell.replace("|", ";").split(";")]
            yield from parts if len(parts) > 1 and all(map(is_remote, parts)) else [cell.strip()]
    elif isinstance(cell, list | tuple):
        for one in cell:
            yield from addresses_in(one)
    elif isinstance(cell, Mapping) and cell.get("bytes") is None:
        yield from addresses_in(cell.get("path"))


def bring_columns(table: Table, columns: Iterable[str], progress: Progress | None = None) -> None:
    """Bring the objects that columns of a table name, where that is allowed; what is wrong with one is said later.

    Args:
        table: The table.
        columns: Names of columns; those that the table lacks are passed over.
        progress: Called with the number of objects that are done.
    """
    if table.remote is None:
        return
    from plait.data.media import MAX_BYTES

    wanted: dict[str, None] = {}
    for name in columns:
        if name in table.column_names:
            for cell in table.column(name):
                wanted.update(dict.fromkeys(addresses_in(cell)))
    table.remote.bring(wanted, MAX_BYTES, progress)


def named_by_content(table: Table, values: Sequence[Any]) -> list[Any]:
    """Sampled cells, in which addresses without an ending have one, by what a few of them hold.

    Only where most cells are such addresses; five of them at most are fetched.
    """
    bare = [v for v in values if is_remote(v) and not os.path.splitext(path_of_address(v))[1]]
    if table.remote is None or len(bare) < 0.5 * len(values) or not bare:
        return list(values)
    from plait.data.media import MAX_BYTES

    step = max(1, len(bare) // MOST_LOOKED_AT)
    looked_at = bare[::step][:MOST_LOOKED_AT]
    table.remote.bring(looked_at, MAX_BYTES)
    endings = [ending for one in looked_at if (ending := _ending_of(table, one, MAX_BYTES))]
    if not endings:
        return list(values)
    usual = max(set(endings), key=endings.count)
    named = set(bare)
    return [f"object{usual}" if isinstance(v, str) and v in named else v for v in values]


def _ending_of(table: Table, address: str, max_bytes: int) -> str | None:
    assert table.remote is not None
    try:
        with table.remote.find(address, max_bytes).open("rb") as file:
            head = file.read(16)
    except (CellError, OSError):
        return None
    if head[:4] in (b"RIFF", b"FORM"):
        return _RIFF.get(head[8:12])
    return next((ending for start, ending in _ENDINGS if head.startswith(start)), None)
