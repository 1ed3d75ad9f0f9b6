"""Do two checkouts answer alike? Runs the same commands in both on small tables and names every difference.

For a change that must not change behaviour: exit codes, messages, ``--json``, pages apart, every file of a model
folder and of an index (JSON by key, weights by sha256), and whether what the first wrote loads in the second with the
same answers. Times, dates, versions and absolute paths are left out.

Run: python benchmarks/same_answers.py record OUT [--src SRC]      (once in each checkout; SRC holds the package)
     python benchmarks/same_answers.py compare OUT_BEFORE OUT_AFTER
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

IGNORED = re.compile(
    r"seconds|created|versions|^plait$|bytes|_ms|^ms$|time|^speed$|workers|memory|last_used|rss|elapsed|cost|^root$"
)
NAMES = re.compile(r"(?<=[-_])[0-9a-f]{32}\b")  # names drawn anew at every build
TIMES = re.compile(r"\d[\d,.]* s\b|\d+(\.\d+)? (ms|seconds)\b|used [\d.]+ days|\d{4}-\d\d-\d\dT[\d:.+Z]+")
COLOURS = {"red": (220, 30, 30), "green": (30, 180, 40), "blue": (30, 60, 220), "yellow": (230, 220, 40)}
SMALL = ["--set", "encoders.text=scratch:text", "--set", "encoders.image=scratch:image", "--set",
         "encoders.image_size=32", "--epochs", "2", "--quiet", "--json"]  # fmt: skip
REAL = ["--epochs", "2", "--quiet", "--json"]


def make_inputs(folder: Path) -> None:
    """Small tables with pictures, sounds, vectors, numbers and texts; the same bytes at every call."""
    import csv
    import wave

    import numpy as np
    from PIL import Image, ImageDraw

    rng = np.random.default_rng(0)
    (folder / "photos").mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    names = list(COLOURS)
    for i in range(96):
        colour = names[int(rng.integers(4))]
        image = Image.new("RGB", (48, 40), (250, 250, 250))
        box = [int(v) for v in (4, 4, 24 + rng.integers(16), 20 + rng.integers(12))]
        draw = ImageDraw.Draw(image)
        round_one = bool(rng.integers(2))
        (draw.ellipse if round_one else draw.rectangle)(box, fill=COLOURS[colour])
        path = f"photos/{i:03d}.png"
        image.save(folder / path)
        shape = "circle" if round_one else "box"
        size = float(box[2] * box[3]) + float(rng.normal())
        rows.append({
            "image": path, "caption": f"a {colour} {shape} number {i % 7}", "size": f"{size:.2f}",
            "weight": "" if i % 9 == 0 else f"{rng.normal():.3f}", "kind": ["a", "b", "c"][i % 3], "colour": colour,
            "shape": shape, "tags": f"{colour};{shape}", "price": f"{size * 2 + 30 * (colour == 'red'):.2f}",
            "photos": f"{path};photos/{(i + 1) % 96:03d}.png" if i < 95 else path,
            "vector": json.dumps([round(float(v), 4) for v in rng.normal(size=5) + names.index(colour)]),
            "id": f"item{i:03d}",
            "question": f"what colour is the {shape}?", "answer": colour, "sound": f"photos/{i:03d}.wav",
        })  # fmt: skip
        with wave.open(str(folder / f"photos/{i:03d}.wav"), "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(2)
            sound.setframerate(8000)
            tone = np.sin(np.arange(4000) * (0.05 + 0.1 * names.index(colour))) * 12000
            sound.writeframes(tone.astype("<i2").tobytes())
    tables = {
        "posts": ("image", "caption", "size", "weight", "kind", "shape", "colour", "id"),
        "prices": ("image", "caption", "size", "kind", "price"),
        "tags": ("image", "caption", "tags"),
        "kinds": ("sound", "vector", "photos", "caption", "shape"),
        "captions": ("image", "caption"),
        "questions": ("image", "question", "answer"),
        "sides": ("image", "caption", "id", "colour"),
    }
    for name, columns in tables.items():
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
    broken = [dict(r) for r in rows[:12]]
    broken[3]["image"], broken[5]["size"], broken[7]["kind"] = "photos/none.png", "many", "zzz"
    with (folder / "broken.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, tables["posts"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(broken)
    with (folder / "pairs.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "caption", "match"])
        for i, row in enumerate(rows):
            other = rows[(i * 7 + 3) % 96]["caption"] if i % 2 else row["caption"]
            writer.writerow([row["image"], other, 0 if other != row["caption"] else 1])


def commands() -> list[list[str]]:
    """What a user types, in order."""
    fit = ["fit"]
    made = [
        ["--help"], ["fit", "--help"], ["compare", "--help"], ["index", "build", "--help"], ["search", "--help"],
        ["predict", "--help"], ["evaluate", "--help"], ["explain", "--help"], ["caption", "--help"], ["ask", "--help"],
        ["check", "--help"], ["features", "--help"], ["weights", "--help"], ["two-tower", "--help"],
        ["fusions", "--json"], ["fusions"], ["check", "posts.csv", "--target", "colour", "--json"], ["weights", "ls"],
        [*fit, "posts.csv", "--target", "colour", "-o", "posts", "--id", "id", *SMALL],
        [*fit, "posts.csv", "--target", "colour", "-o", "posts", *SMALL],
        ["evaluate", "posts", "posts.csv", "--report", "posts-report.html", "--json", "--quiet"],
        ["evaluate", "posts", "posts.csv", "--rows", "all", "--quiet"],
        ["explain", "posts", "posts.csv", "--report", "posts-why.html", "--json", "--quiet"],
        ["explain", "posts", "posts.csv", "--absence", "marginal", "--row", "14", "--quiet"],
        ["predict", "posts", "posts.csv", "-o", "posts-out.csv", "--json", "--quiet"],
        ["predict", "posts", "broken.csv", "-o", "broken-out.csv", "--quiet"],
        ["evaluate", "posts", "broken.csv", "--quiet"],
        ["evaluate", "posts", "broken.csv", "--on-bad-row", "missing", "--json", "--quiet"],
        [*fit, "prices.csv", "--target", "price", "-o", "prices", *REAL],
        ["predict", "prices", "prices.csv", "-o", "prices-out.parquet", "--quiet"],
        ["explain", "prices", "prices.csv", "--json", "--quiet"],
        [*fit, "tags.csv", "--target", "tags", "--task", "multilabel", "-o", "tags", *SMALL],
        ["predict", "tags", "tags.csv", "-o", "tags-out.csv", "--quiet"],
        [*fit, "kinds.csv", "--target", "shape", "--audio", "sound", "--vector", "vector", "--image-set", "photos",
         "--set", "encoders.audio=scratch:audio", "-o", "kinds", *SMALL],
        ["explain", "kinds", "kinds.csv", "--json", "--quiet"],
        ["predict", "kinds", "kinds.csv", "-o", "kinds-out.csv", "--quiet"],
        [*fit, "pairs.csv", "--target", "match", "--task", "matching", "-o", "pairs", *REAL],
        ["evaluate", "pairs", "pairs.csv", "--json", "--quiet"],
        [*fit, "posts.csv", "--target", "colour", "-o", "aided", "--fusion", "gated", "--set", "train.auxiliary=0.3",
         "--set", "train.modality_dropout=0.3", "--set", "train.ogm=0.1", "--set", "task.class_weights=true", *SMALL],
        [*fit, "posts.csv", "--target", "colour", "-o", "late", "--fusion", "late_stacking", *SMALL],
        [*fit, "posts.csv", "--target", "colour", "-o", "evidential", "--fusion", "evidential", *SMALL],
        ["predict", "evidential", "posts.csv", "-o", "evidential-out.csv", "--quiet"],
        [*fit, "posts.csv", "--target", "kind", "-o", "attentive", "--fusion", "co_attention", "--ignore", "shape",
         *SMALL],
        [*fit, "posts.csv", "--target", "size", "-o", "classic", "--recipe", "classic", "--ignore", "weight", *SMALL],
        [*fit, "sides.csv", "--task", "retrieval", "--text", "caption", "--image", "image", "--ignore", "colour",
         "-o", "finder", *REAL],
        ["index", "build", "finder", "photos", "-o", "index", "--json", "--quiet"],
        ["index", "build", "finder", "sides.csv", "-o", "sides-index", "--id", "id", "--json", "--quiet"],
        ["index", "info", "index", "--json"], ["index", "info", "sides-index", "--verify", "--json"],
        ["search", "index", "a red circle", "--k", "5", "--json"], ["search", "index", "a blue box", "--k", "3"],
        ["search", "sides-index", "a red box", "--image", "photos/001.png", "--k", "4", "--json"],
        ["search", "sides-index", "a red box", "--where", "colour = 'red'", "--k", "4", "--json"],
        ["index", "knn", "sides-index", "--label", "colour", "--k", "3", "--json"],
        ["index", "zero-shot", "sides-index", "--label", "colour", "--json"],
        ["index", "probe", "sides-index", "--label", "colour", "--json"],
        ["index", "duplicates", "sides-index", "--threshold", "0.99", "--json"],
        ["index", "add", "index", "sides.csv", "--prefix", "more/", "--json", "--quiet"],
        ["index", "delete", "sides-index", "--id", "item003", "--json"],
        [*fit, "captions.csv", "--target", "caption", "--task", "captioning", "-o", "captioner", *SMALL],
        ["caption", "captioner", "photos/002.png", "--json"], ["caption", "captioner", "captions.csv", "--beams", "2"],
        [*fit, "questions.csv", "--target", "answer", "--task", "vqa", "-o", "answerer", *SMALL],
        ["ask", "answerer", "photos/003.png", "what colour is the box?", "--json"],
        [*fit, "questions.csv", "--target", "answer", "--task", "vqa", "-o", "writer", "--set", "task.answers=open",
         *SMALL],
        ["ask", "writer", "photos/003.png", "what colour is the box?", "--json", "--answer", "red", "--answer", "blue"],
        ["explain", "writer", "questions.csv"],
        ["compare", "posts.csv", "--target", "colour", "--fusion", "concat,gated,late_mean,self_attention", "--seeds",
         "2", "--search", "2", "--epochs", "2", "--workers", "1", "-o", "comparison", "--json", "--quiet",
         *SMALL[:6]],
        ["fit", "nothing.csv", "--target", "x", "-o", "m"], ["fit", "posts.csv", "-o", "m"],
        ["fit", "posts.csv", "--target", "colur", "-o", "m"], ["predict", "photos", "posts.csv", "-o", "x.csv"],
        ["predict", "posts", "pairs.csv", "-o", "x.txt"], ["search", "posts", "x"], ["fit"], ["explode"],
        ["fit", "posts.csv", "--target", "colour", "-o", "m", "--fusion", "gatd"],
        ["fit", "posts.csv", "--target", "colour", "-o", "m", "--set", "train.epoch=3"],
        ["fit", "posts.csv", "--target", "colour", "-o", "m", "--set", "train.epochs=0"],
        ["fit", "posts.csv", "--target", "colour", "-o", "m", "--task", "nothing"],
        ["fit", "posts.csv", "--target", "colour", "-o", "m", "--ignore", "nothing"],
        ["caption", "posts", "photos/001.png"], ["index", "build", "posts", "photos", "-o", "i"],
        ["explain", "finder", "sides.csv"], ["features", "verify", "--json"],
    ]  # fmt: skip
    return made


AGAIN = [
    ["evaluate", "posts", "posts.csv", "--json", "--quiet"],
    ["predict", "posts", "posts.csv", "-o", "again.csv", "--quiet"],
    ["predict", "prices", "prices.csv", "-o", "again.parquet", "--quiet"],
    ["predict", "kinds", "kinds.csv", "-o", "again2.csv", "--quiet"],
    ["explain", "posts", "posts.csv", "--json", "--quiet"],
    ["search", "index", "a red circle", "--k", "5", "--json"],
    ["index", "info", "index", "--verify", "--json"],
    ["caption", "captioner", "photos/002.png", "--json"],
    ["ask", "answerer", "photos/003.png", "what colour is the box?", "--json"],
]


def run_all(wanted: list[list[str]], out: Path) -> None:
    """Run in this process, in the current folder, and write what came of each."""
    import tempfile

    from plait import cli

    for number, arguments in enumerate(wanted):
        streams = [tempfile.TemporaryFile(), tempfile.TemporaryFile()]
        saved = [os.dup(1), os.dup(2)]
        sys.stdout.flush(), sys.stderr.flush()
        os.dup2(streams[0].fileno(), 1), os.dup2(streams[1].fileno(), 2)
        code: Any = None
        sys.argv = ["plait", *arguments]
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code
        except BaseException as error:  # a traceback is an answer too
            code = f"{type(error).__name__}: {error}"
        sys.stdout.flush(), sys.stderr.flush()
        os.dup2(saved[0], 1), os.dup2(saved[1], 2)
        texts = []
        for stream in streams:
            stream.seek(0)
            texts.append(stream.read().decode("utf-8", "replace"))
        record = {"command": arguments, "code": code, "stdout": texts[0], "stderr": texts[1]}
        (out / f"{number:03d}.json").write_text(json.dumps(record, ensure_ascii=False, indent=1), encoding="utf-8")
        sys.stderr.write(f"{number:3d} {code} plait {' '.join(arguments)[:100]}\n")


def files_of(work: Path) -> dict[str, Any]:
    """Every file of the work folder: JSON and tables as values, the rest as sha256."""
    found: dict[str, Any] = {}
    for path in sorted(p for p in work.rglob("*") if p.is_file()):
        name = path.relative_to(work).as_posix()
        if name.startswith(("photos/", "cache/")) or path.name == "lock" or name.endswith((".lock", ".html")):
            if name.endswith(".html"):
                found[name] = "there"
            continue
        if path.suffix == ".json":
            found[name] = json.loads(path.read_text("utf-8"))
        elif path.suffix in (".yaml", ".csv", ".jsonl"):
            found[name] = path.read_text("utf-8")
        else:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def record(out: Path, src: Path | None, again_from: Path | None) -> None:
    """Run every command in a fresh folder under ``out``."""
    work = (out / "work").resolve()
    work.mkdir(parents=True, exist_ok=True)
    make_inputs(work)
    if again_from is not None:
        import shutil

        for name in ("posts", "prices", "kinds", "index", "finder", "captioner", "answerer"):
            shutil.copytree(again_from / "work" / name, work / name)
    outcome = (out / "outcome").resolve()
    outcome.mkdir(exist_ok=True)
    home = os.environ.get("PLAIT_WEIGHTS_CACHE") or str(Path.home() / ".cache" / "plait")
    cache = work / "cache"
    cache.mkdir(exist_ok=True)
    if not (cache / "weights").exists():
        (cache / "weights").symlink_to(Path(home) / "weights")
    environment = {**os.environ, "PLAIT_CACHE": str(cache), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1",
                   "COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}  # fmt: skip
    if src is not None:
        environment["PYTHONPATH"] = str(src.resolve())
    which = "again" if again_from is not None else "all"
    subprocess.run([sys.executable, str(Path(__file__).resolve()), "inside", str(outcome), which], cwd=work,
                   env=environment, check=True)  # fmt: skip
    (out / "files.json").write_text(json.dumps(files_of(work), ensure_ascii=False), encoding="utf-8")


def plain(value: Any, work: str) -> Any:
    """A value without what may differ: times, dates, versions, the place of the work folder."""
    if isinstance(value, dict):
        return {k: plain(v, work) for k, v in value.items() if not IGNORED.search(str(k))}
    if isinstance(value, list):
        return [plain(v, work) for v in value]
    if isinstance(value, str):
        if value[:1] in "[{" and value.strip()[-1:] in "]}":
            try:
                return plain(json.loads(value), work)
            except ValueError:
                pass
        return TIMES.sub("TIME", NAMES.sub("NAME", value.replace(work, "WORK")))
    return "NaN" if isinstance(value, float) and math.isnan(value) else value


def renamed(files: dict[str, Any]) -> dict[str, Any]:
    """Files under names that are the same in both; of files whose names are drawn, all under one name, in order."""
    made: dict[str, Any] = {}
    for name in sorted(n for n in files if not n.endswith("/lock")):
        known = NAMES.sub("NAME", name)
        made[known] = files[name] if known == name else sorted([*made.get(known, []), files[name]], key=str)
    return made


def differences(a: Any, b: Any, place: str = "") -> list[str]:
    """Where two values differ."""
    if isinstance(a, dict) and isinstance(b, dict):
        made = [f"{place}.{k}: only before" for k in a if k not in b]
        made += [f"{place}.{k}: only after" for k in b if k not in a]
        return made + [d for k in a if k in b for d in differences(a[k], b[k], f"{place}.{k}")]
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return [d for i, (x, y) in enumerate(zip(a, b, strict=True)) for d in differences(x, y, f"{place}[{i}]")]
    return [] if a == b else [f"{place}: {str(a)[:300]!r} -> {str(b)[:300]!r}"]


def compare(before: Path, after: Path) -> int:
    """Print every difference; the number of places that differ."""
    count = 0
    works = [str((p / "work").resolve()) for p in (before, after)]
    told = [sorted((p / "outcome").glob("*.json")) for p in (before, after)]
    assert [p.name for p in told[0]] == [p.name for p in told[1]], "the two ran different commands"
    for x, y in zip(*told, strict=True):
        a, b = (plain(json.loads(p.read_text("utf-8")), w) for p, w in zip((x, y), works, strict=True))
        found = differences(a, b)
        count += len(found)
        for line in found:
            print(f"plait {' '.join(a['command'])[:90]}\n    {line}")
    a, b = (
        renamed(plain(json.loads((p / "files.json").read_text("utf-8")), w))
        for p, w in zip((before, after), works, strict=True)
    )
    for name in ("run.yaml", "history.csv"):
        for files in (a, b):
            for key in [k for k in files if k.endswith(name)]:
                lines = [line for line in files[key].splitlines() if not IGNORED.search(line)]
                files[key] = lines if name == "run.yaml" else [",".join(line.split(",")[:-1]) for line in lines]
    found = differences(a, b)
    for line in found:
        print(f"file {line}")
    count += len(found)
    print(f"{len(told[0])} commands, {len(a)} files: {count} differences")
    return count


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    one = verbs.add_parser("record")
    one.add_argument("out", type=Path)
    one.add_argument("--src", type=Path)
    one.add_argument("--again-from", type=Path, help="use the models and indexes that another record wrote")
    two = verbs.add_parser("compare")
    two.add_argument("before", type=Path)
    two.add_argument("after", type=Path)
    inside = verbs.add_parser("inside")
    inside.add_argument("out", type=Path)
    inside.add_argument("which")
    given = parser.parse_args()
    if given.verb == "record":
        record(given.out, given.src, given.again_from)
    elif given.verb == "inside":
        run_all(commands() if given.which == "all" else AGAIN, given.out)
    else:
        sys.exit(1 if compare(given.before, given.after) else 0)


if __name__ == "__main__":
    main()
