"""What starting costs: processor seconds of ``plait predict`` and ``plait evaluate`` on rows whose features are stored.

Ten rows of the posts of ``--data`` are answered and evaluated by a model on MiniLM and EfficientNet-Lite0, each time in
a process of its own with one thread. ``everything`` imports ``transformers.modeling_utils`` first and reads encoders
and tokenizers whole, as every start did once; ``what is needed`` is a start as it is. ``import torch`` alone stands
beside them. All in turns; printed are medians of ``--repeats`` with their range, and the median ratio turn by turn.

Run: python benchmarks/starting.py [--repeats 5] [--rows 100]     (minutes)
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import arguments, table
from ten_posts import lay_out

AS_ONCE = """
import sys
import transformers.modeling_utils
from plait.weights import known_files
known_files.read_note = lambda path: None
from plait.cli import main
sys.argv = ["plait", *sys.argv[1:]]
main()
"""


def processor_seconds(command: list[str], environment: dict[str, str]) -> float:
    """Processor seconds of a process, those of the system for it included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=environment, check=True, capture_output=True)  # noqa: S603
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> None:
    """Run and print."""
    given = arguments(__doc__ or "", data="posts-sentiment/posts.csv", options={"--repeats": "5", "--rows": "100"})
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        lay_out(given.data, int(given.rows), place)
        environment = {**os.environ, "PLAIT_FEATURES": str(place / "features"), "OMP_NUM_THREADS": "1"}
        model, ten = str(place / "model"), str(place / "ten.csv")
        quick, plain = ["--allow-outside", "--quiet"], [sys.executable, "-m", "plait"]
        fit = ["fit", str(place / "posts.csv"), "--target", "sentiment", "--preset", "single", *quick, "-o", model]
        processor_seconds([*plain, *fit], environment)
        verbs = {
            "predict": ["predict", model, ten, *quick, "--overwrite", "-o", str(place / "answers.csv")],
            "evaluate": ["evaluate", model, ten, *quick],
        }
        for words in verbs.values():
            processor_seconds([*plain, *words], environment)  # the encoders' records are written
        took: dict[str, list[float]] = {"import torch": []}
        for _ in range(int(given.repeats)):
            took["import torch"].append(processor_seconds([sys.executable, "-c", "import torch"], environment))
            for verb, words in verbs.items():
                for name, start in (("everything", [sys.executable, "-c", AS_ONCE]), ("what is needed", plain)):
                    took.setdefault(f"{verb}, {name}", []).append(processor_seconds([*start, *words], environment))
    body = []
    for name, seconds in took.items():
        verb, _, how = name.partition(", ")
        ratio = ""
        if how == "what is needed":
            ratios = [a / b for a, b in zip(seconds, took[f"{verb}, everything"], strict=True)]
            ratio = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        body.append([name, f"{statistics.median(seconds):.1f} ({min(seconds):.1f} to {max(seconds):.1f})", ratio])
    table(["start", "processor seconds", "of everything"], body)


if __name__ == "__main__":
    main()
