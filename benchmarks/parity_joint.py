"""How far joint models are from their own libraries: a table of tiny random models, made here without a download.

Each row is one kind of input of one model folder: the largest absolute difference of a coordinate of a unit vector to
what sentence-transformers, open_clip or transformers itself makes of the same items one at a time, and of an item alone
to the same item in a batch. Pictures are wide, tall, tiny, grey and transparent, texts short, long and with entities
and punctuation, sounds of four lengths.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "encoders")]

from authors import items_of  # noqa: E402

from fixtures.tiny_joint import JOINT, far  # noqa: E402
from measure import line, table  # noqa: E402
from plait.weights.quiet import quiet_transformers  # noqa: E402

HEAD = ["folder of", "model", "kind", "to its own library", "alone or in a batch"]
MORE = ["Salt &amp; pepper_mill,  it's 50%!"]


def main() -> None:
    """Print the table."""
    names = set(sys.argv[1:]) or set(JOINT)
    table(HEAD, [])
    for name, one in JOINT.items():
        if name not in names:
            continue
        with tempfile.TemporaryDirectory() as root, quiet_transformers():
            one.make(Path(root))
            for kind in one.kinds:
                items = [i for i in items_of(kind, 48_000 if name == "clap" else 16_000) if i]
                found = far(name, Path(root), kind, items + (MORE if kind == "text" else []))
                line([one.library, name, kind, *(f"{value:.1e}" for value in found)])


if __name__ == "__main__":
    main()
