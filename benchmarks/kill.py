"""Killed at any moment: is anything lost, half written, or silently other afterwards?

Each kill is a process that is forked, trains or saves or builds, and gets SIGKILL after a random share of the time that
the work takes undisturbed. Afterwards the folder must hold the old thing whole or the new thing whole, or say that it
is unfinished; going on must end equal to the undisturbed run.

Run: python benchmarks/kill.py [--kills 100] [--seed 0]      (about 15 minutes)
"""

from __future__ import annotations

import argparse
import collections
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from PIL import Image

SCRATCH = ["encoders.text=scratch:text", "encoders.image=scratch:image", "encoders.image_size=32", "train.epochs=4",
           "train.patience=0", "train.baselines=false", "train.threads=1", "judge.missing_rows=0"]  # fmt: skip


def killed(work: Callable[[], Any], seconds: float) -> bool:
    """Run in a forked process and kill it after so many seconds; whether it had still been at work."""
    child = os.fork()
    if child == 0:
        for stream in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
        try:
            warnings.simplefilter("ignore")
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    time.sleep(seconds)
    done, status = os.waitpid(child, os.WNOHANG)
    if done:
        return False
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def timed(work: Callable[[], Any]) -> float:
    """Seconds that the work takes undisturbed, in a forked process."""
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        for stream in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
        work()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, "the undisturbed work failed"
    return time.monotonic() - started


class Bench:
    """Two tables with opposite answers, so that an old model and a new one cannot be mixed up."""

    def __init__(self, folder: Path) -> None:
        import torch

        import plait

        torch.set_num_threads(1)
        self.plait, self.folder = plait, folder
        os.environ["PLAIT_CACHE"] = str(folder / "cache")
        (folder / "photos").mkdir(parents=True)
        rows = []
        for i in range(60):
            shade = 40 + 3 * i
            Image.new("RGB", (24, 24), (shade, 90, 200 - shade // 2)).save(folder / "photos" / f"{i:02d}.png")
            rows.append({"text": f"row {i} is {'wet' if i % 2 else 'dry'}", "image": f"{folder}/photos/{i:02d}.png",
                         "label": "no" if i % 2 else "yes"})  # fmt: skip
        self.first = rows
        self.second = [{**r, "label": "dog" if r["label"] == "yes" else "cat"} for r in rows]
        self.fit(self.first, folder / "good")
        self.finder = plait.fit(rows, task="retrieval", text="text", image="image", ignore=["label"],
                                output=folder / "finder", set=SCRATCH)  # fmt: skip
        self.answers = {"first": self.ask(folder / "good")}
        self.fit(self.second, folder / "other")
        self.answers["second"] = self.ask(folder / "other")

    def fit(self, rows: list[dict[str, Any]], output: Path, **how: Any) -> Any:
        """Train a small model."""
        return self.plait.fit(rows, "label", text="text", image="image", output=output, set=SCRATCH, **how)

    def ask(self, model: Path) -> list[Any]:
        """Predictions with their probabilities."""
        made = self.plait.load(model).predict(self.first[:6])
        return [made.column(n).to_pylist() for n in ("prediction", "probability")]

    def which(self, place: Path) -> str:
        """Whose answers a folder gives."""
        try:
            given = self.ask(place)
        except ValueError as error:
            return "unfinished, said so" if "--resume" in str(error) or "not a Plait model" in str(error) else (
                f"REFUSED {str(error)[:60]}")  # fmt: skip
        except FileNotFoundError:
            return "not there"
        except Exception as error:
            return f"TRACEBACK {type(error).__name__}"
        return next((name for name, known in self.answers.items() if known == given), "MIXED ANSWERS")

    def fresh(self, share: float, seconds: float) -> str:
        """A new model: unfinished and resumable, or whole."""
        place = self.folder / "new"
        shutil.rmtree(place, ignore_errors=True)
        killed(lambda: self.fit(self.first, place), share * seconds)
        found = self.which(place)
        if found == "first":
            return "new one whole"
        if found not in ("unfinished, said so", "not there"):
            return found
        self.fit(self.first, place, **({"resume": True} if (place / "resume.json").exists() else {}))
        return "went on to an equal end" if self.which(place) == "first" else "ENDS OTHERWISE"

    def overwritten(self, share: float, seconds: float) -> str:
        """A good model under --overwrite: the old one whole or the new one whole."""
        place = self.folder / "over"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self.folder / "good", place)
        killed(lambda: self.fit(self.second, place, overwrite=True), share * seconds)
        found = self.which(place)
        return {"first": "old one whole", "second": "new one whole"}.get(found, f"LOST: {found}")

    def resumed(self, share: float, seconds: float) -> str:
        """The same, then ``--resume`` killed as well, then ``--resume`` to the end: equal to the undisturbed run."""
        place = self.folder / "resumed"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self.folder / "good", place)
        killed(lambda: self.fit(self.second, place, overwrite=True), share * seconds)
        for last in (False, True):
            how = {"resume": True} if (place / "resume.json").exists() else {"overwrite": True}
            if last:
                self.fit(self.second, place, **how)
            else:
                killed(lambda how=how: self.fit(self.second, place, **how), share * seconds)
            if self.which(place) not in self.answers:
                return f"LOST: {self.which(place)}"
        return "went on to an equal end" if self.which(place) == "second" else "ENDS OTHERWISE"

    def saved(self, share: float, seconds: float) -> str:
        """``save`` into the folder of another model."""
        place = self.folder / "saved"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self.folder / "good", place)
        model = self.plait.load(self.folder / "other")
        killed(lambda: model.save(place, overwrite=True), share * seconds)
        found = self.which(place)
        return {"first": "old one whole", "second": "new one whole"}.get(found, f"LOST: {found}")

    def indexed(self, share: float, seconds: float) -> str:
        """An index: what was committed is searchable, building again ends equal."""
        place, whole = self.folder / "index", self.folder / "whole-index"
        shutil.rmtree(place, ignore_errors=True)
        if not whole.exists():
            self.plait.build_index(self.finder, self.folder / "photos", whole, block=8)
        killed(lambda: self.plait.build_index(self.finder, self.folder / "photos", place, block=8), share * seconds)
        index, _ = self.plait.build_index(self.finder, self.folder / "photos", place, block=8)
        mine, theirs = (
            [(h.id, h.score) for h in i.search("row 3 is wet", k=60)]
            for i in (index, self.plait.open_index(whole, self.finder))
        )
        return "went on to an equal end" if mine == theirs else "ENDS OTHERWISE"

    def stored(self, share: float, seconds: float) -> str:
        """The feature store: a predict that is killed while it encodes, then again."""
        shutil.rmtree(self.folder / "cache" / "features", ignore_errors=True)
        killed(lambda: self.ask(self.folder / "good"), share * seconds)
        return "went on to an equal end" if self.which(self.folder / "good") == "first" else "OTHER ANSWERS"


def main() -> None:
    """Run all and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    draw = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bench = Bench(Path(name))
        place = Path(name)
        loaded = bench.plait.load(place / "other")
        kinds: dict[str, tuple[Callable[[float, float], str], Callable[[], Any]]] = {
            "fit": (bench.fresh, lambda: bench.fit(bench.first, place / "t1")),
            "fit --overwrite": (bench.overwritten, lambda: bench.fit(bench.second, place / "t2")),
            "fit --overwrite and --resume": (bench.resumed, lambda: bench.fit(bench.second, place / "t5")),
            "save over a model": (bench.saved, lambda: loaded.save(place / "t3", overwrite=True)),
            "index build": (bench.indexed, lambda: bench.plait.build_index(
                bench.finder, place / "photos", place / "t4", block=8)),
            "feature store": (bench.stored, lambda: bench.ask(place / "good")),
        }  # fmt: skip
        lasts = {kind: timed(work) for kind, (_, work) in kinds.items()}
        found: dict[str, collections.Counter[str]] = {kind: collections.Counter() for kind in kinds}
        for number in range(given.kills):
            kind = list(kinds)[number % len(kinds)]
            found[kind][kinds[kind][0](draw.random() * 1.05, lasts[kind])] += 1
            if sys.stderr.isatty():
                sys.stderr.write(f"\r{number + 1}/{given.kills}")
        for kind, counts in found.items():
            print(f"\n{kind} ({lasts[kind]:.2f} s undisturbed, killed {sum(counts.values())} times)")
            for what, count in counts.most_common():
                print(f"  {what:40} {count:4}")


if __name__ == "__main__":
    main()
