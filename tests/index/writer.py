"""A process that builds an index until it is killed: `writer.py SOURCE INDEX BACKEND BLOCK`."""

from __future__ import annotations

import sys
import time
from typing import Any

from fixtures.colours import ColourEmbedder
from plait.index import build_index


class SlowEmbedder(ColourEmbedder):
    def embed(self, table: Any, modality: str, **how: Any) -> Any:
        time.sleep(0.02)
        return super().embed(table, modality, **how)


def main(source: str, index: str, backend: str, block: str) -> None:
    print("ready", flush=True)
    build_index(SlowEmbedder(), source, index, backend=backend, block=int(block))
    print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
