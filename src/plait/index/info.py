"""What an index holds, as JSON values."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from plait.index.storage import Storage


def describe(storage: Storage, folder: Path, *, verify: bool = False) -> dict[str, Any]:
    """What an index holds; with ``verify`` every checksum is computed again."""
    manifest = storage.manifest
    facts = [
        {
            "source": f.source, "rows": f.num_rows, "done": f.done_rows, "complete": f.is_complete,
            "is_missing": os.path.isabs(f.source) and not os.path.exists(f.source),
            "empty": f.num_missing, "unreadable": f.num_bad,
            "unreadable_rows": [{"row": row, "reason": why} for row, why, _ in f.bad_rows],
        }
        for f in manifest.sources
    ]  # fmt: skip
    made = {
        "index": str(folder), "backend": manifest.backend, "uri": manifest.uri, "items": len(storage),
        "contents": storage.num_contents, "complete": manifest.is_complete, "dim": manifest.dim,
        "plain_dim": manifest.plain_dim, "dtype": "float32", "modality": manifest.modality.name,
        "kind": manifest.modality.kind, "model": manifest.model, "fingerprint": manifest.fingerprint,
        "segments": len(manifest.segments), "bytes": storage.num_bytes(), "sources": facts,
    }  # fmt: skip
    return {**made, "damaged": storage.verify()} if verify else made
