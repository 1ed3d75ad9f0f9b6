"""A process that writes planted items until it is killed: `writer.py ROOT SEED NUM_SEGMENTS`."""

from __future__ import annotations

import random
import sys

import numpy as np

from fixtures.fake_features import key_of, planted, planted_tokens
from plait.inputs.feature_store import FeatureStore


def main(root: str, seed: int, num_segments: int) -> None:
    space = FeatureStore(root).space("planted", {"encoder": "planted"})
    draw = random.Random(seed)
    print("ready", flush=True)
    for _ in range(num_segments):
        keys = sorted({key_of(str(draw.randrange(400))) for _ in range(20)})
        space.put(keys, np.stack([planted(key) for key in keys]), [planted_tokens(key) for key in keys])
    print("done", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
