"""How far every architecture is from its authors' code: a table of tiny random models, made here without a download.

Each row is one side of one architecture under one prefix: the largest absolute difference of tokens and vector to
processor and model of ``transformers``, of an item alone to the same item in a batch, and of a batch to the same batch
in another order. The items are wide, tall, tiny, grey and alpha photos, texts of many lengths, short and long sounds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "encoders")]

from authors import Parity, measure  # noqa: E402
from tiny_architectures import ARCHITECTURES, CASES  # noqa: E402

from measure import line, table  # noqa: E402
from plait.weights.quiet import quiet_transformers  # noqa: E402

HEAD = ["prefix", "architecture", "kind", "to the authors' code", "alone or in a batch", "in another order"]


def measured(prefix: str, name: str, kind: str, folder: Path) -> Parity | str:
    """The differences, or why there are none."""
    try:
        return measure(prefix, name, kind, folder)
    except Exception as error:  # a row of the table, whatever went wrong
        return f"{type(error).__name__}: {' '.join(str(error).split())[:80]}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="architectures; all of them where none is given")
    names = set(parser.parse_args().names) or set(ARCHITECTURES)
    table(HEAD, [])
    with tempfile.TemporaryDirectory() as root, quiet_transformers():
        for name in ARCHITECTURES:
            if name not in names:
                continue
            folder = ARCHITECTURES[name].save(Path(root) / name)
            for prefix, _, kind in (case for case in CASES if case[1] == name):
                found = measured(prefix, name, kind, folder)
                shown = [found, "", ""] if isinstance(found, str) else [
                    f"{value:.1e}" for value in (found.authors, found.alone, found.order)
                ]  # fmt: skip
                line([prefix, name, kind, *shown])


if __name__ == "__main__":
    main()
