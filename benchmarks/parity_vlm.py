"""How far vision-language models are from their own library: a table of tiny random models, made without a download.

Three pictures of different sizes, each with a question of another length, are asked by ``processor`` and ``model`` of
``transformers`` one at a time, and by Plait in one batch and one at a time. Differences are of natural
log-probabilities: of the tokens that greedy search writes, and of given labels (summed and as a mean a token).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "inference")]

from library_vlm import measure_vlm  # noqa: E402

from fixtures.tiny_vlm import TINY, save_tiny  # noqa: E402
from measure import line, table  # noqa: E402
from plait.weights.quiet import quiet_transformers  # noqa: E402

HEAD = ["architecture", "tokens", "written, in a batch", "written, alone", "labels, in a batch", "labels, alone"]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="architectures; all of them where none is given")
    names = set(parser.parse_args().names) or set(TINY)
    table(HEAD, [])
    with tempfile.TemporaryDirectory() as root, quiet_transformers():
        for name in (one for one in TINY if one in names):
            try:
                found = measure_vlm(save_tiny(name, Path(root) / name))
            except Exception as error:  # a row of the table, whatever went wrong
                line([name, f"{type(error).__name__}: {' '.join(str(error).split())[:80]}", "", "", "", ""])
                continue
            shown = [f"{value:.1e}" for value in (found.written, found.alone, found.scores, found.scores_alone)]
            line([name, "equal" if found.tokens_equal else "DIFFERENT", *shown])


if __name__ == "__main__":
    main()
