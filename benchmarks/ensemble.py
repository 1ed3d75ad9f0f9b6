"""One network, and several models that answer together: the presets on the same tables, seed by seed, with seconds.

The best member is the one that the choosing rows named; its test number is beside that of all together, and beside
those of the linear model of everything (standardised frozen vectors, penalty by validation) and of the boosted trees
on the columns of the table, scikit-learn's, whether they were chosen or not. Then pattern by pattern of what is shown
(everything, each modality alone): the ensemble and the best member on the rows that have it, and the model of every
preset on all test rows. What scikit-learn and LightGBM make of the same frozen features: ``peers.py``.
"""

from __future__ import annotations

import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import plait
import published_features
import tuxpaint
from measure import arguments, kept_or_made, metric, quiet, spread, table
from plait.data.catalog.datasets import fetch_dataset
from plait.data.split import carve_validation
from plait.data.table import read_table
from tuxpaint_data import tuxpaint_table

PRESETS = ("single", "fast", "best")
ALONE = ("linear of everything", "trees of tabular")
WANTED = {"classification": ("accuracy", "f1_macro", "log_loss"), "regression": ("r2", "mae")}
EASY_VQA_IMAGES = 450  # to learn from; with all 4,000 of them every way to answer is near 1


def posts(folder: Path) -> tuple[Any, dict[str, Any]]:
    """Sentiment of posts from text and photo."""
    return folder / "posts-sentiment" / "posts.csv", {"target": "sentiment", "split": "split"}


def posts_macro_f1(folder: Path) -> tuple[Any, dict[str, Any]]:
    """The same, decided for macro-F1."""
    source, how = posts(folder)
    return source, {**how, "set": ["task.threshold_for=f1_macro"]}


def houses(folder: Path) -> tuple[Any, dict[str, Any]]:
    """Price of a house from four photos and its numbers."""
    return folder / "houses" / "houses.csv", {"target": "price", "split": "split", "categorical": "zipcode"}


def mosi(folder: Path) -> tuple[Any, dict[str, Any]]:
    """Sentiment of utterances from ready vectors."""
    columns, roles = published_features.mosi(folder / "published")
    return columns, {"target": "label", "split": "split", "task": "classification", **roles}


def rosmap(folder: Path) -> tuple[Any, dict[str, Any]]:
    """Alzheimer's disease from three kinds of measurements."""
    columns, roles = published_features.rosmap(folder / "published")
    return columns, {"target": "label", "split": "split", "task": "classification", **roles}


def liar(folder: Path) -> tuple[Any, dict[str, Any]]:
    """How true a statement is, six classes, without the credit counts."""
    columns, roles = published_features.liar(folder / "published")
    how = {"target": "label", "split": "split", "task": "classification", **roles, **published_features.WITHOUT_COUNTS}
    return columns, how


def stamps(folder: Path) -> tuple[Any, dict[str, Any]]:
    """What a stamp shows from its picture, English and Chinese words, and French speech."""
    found = tuxpaint_table(Path(tempfile.gettempdir()) / "plait-stamps", tuxpaint.LANGUAGES)
    return found, {
        "target": "category", "text": ["text_en", "text_zh_CN"], "image": "image", "audio": "audio", "id": "id",
        "split": "split", "ignore": ["text_fr", "sound"], "set": [tuxpaint.E5, *tuxpaint.WHISPER],
    }  # fmt: skip


def easy_vqa(folder: Path) -> tuple[Any, dict[str, Any]]:
    """Answers (thirteen) to questions on simple pictures; few pictures to learn from, all official test questions."""
    rows = read_table(fetch_dataset("easy-vqa", Path(tempfile.gettempdir()) / "plait-easy-vqa"))
    image, split = np.array(rows.column("image_id")), np.array(rows.column("split"))
    learned = np.random.default_rng(0).choice(np.unique(image[split != "test"]), EASY_VQA_IMAGES, replace=False)
    kept = np.flatnonzero((split == "test") | ((split != "test") & np.isin(image, learned)))
    return rows.take(kept), {"target": "answer", "split": "split", "group": "image_id"}


def esc10(folder: Path, fold: int) -> tuple[Any, dict[str, Any]]:
    """Ten kinds of sound; one fold is judged by models that learned on the other."""
    rows = read_table(folder / "esc10-sounds" / "sounds.csv")
    split = ["test" if f == fold else "train" for f in rows.column("fold")]
    parts = carve_validation(split, target=rows.column("label"), fraction=0.2, seed=0)
    return rows.with_column("split", list(parts)), {
        "target": "label", "audio": "audio", "ignore": "fold", "split": "split",
        "set": ["encoders.audio=whisper-tiny-en", "encoders.audio_seconds=5"],
    }  # fmt: skip


def esc10_1(folder: Path) -> tuple[Any, dict[str, Any]]:
    """Fold 1 judged."""
    return esc10(folder, 1)


def esc10_2(folder: Path) -> tuple[Any, dict[str, Any]]:
    """Fold 2 judged."""
    return esc10(folder, 2)


TABLES = {
    "posts": posts, "posts-macro-f1": posts_macro_f1, "houses": houses, "stamps": stamps, "mosi": mosi,
    "rosmap": rosmap, "liar": liar, "easy-vqa": easy_vqa, "esc10-1": esc10_1, "esc10-2": esc10_2,
}  # fmt: skip


def test_rows(source: Any, how: dict[str, Any]) -> np.ndarray:
    """Positions of the rows that the numbers are of."""
    return np.flatnonzero(np.array(read_table(source).column(how["split"])) == "test")


def fit(source: Any, how: dict[str, Any], preset: str, seed: int) -> plait.Predictor:
    """A model of a table."""
    return plait.fit(source, preset=preset, seed=seed, progress=quiet, **how)


def one(source: Any, how: dict[str, Any], preset: str, seed: int) -> dict[str, Any]:
    """Fit and evaluate: numbers of all together and of the best member, seconds, megabytes."""
    started, cpu = time.monotonic(), time.process_time()
    model = fit(source, how, preset, seed)
    seconds, processor_seconds = time.monotonic() - started, time.process_time() - cpu
    report = model.report
    primary = report["metric"]["name"]
    evaluation = report["evaluation"]
    missing = evaluation.get("missing") or {"hidden": []}
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model")
        size = sum(f.stat().st_size for f in Path(folder).rglob("*") if f.is_file())
    return {
        **{name: metric(report, name) for name in WANTED[report["task"]]}, "primary": primary,
        "seconds": seconds, "processor seconds": processor_seconds, "megabytes": size / 1e6,
        "alone": {name: entry[primary]["value"] for name, entry in evaluation["alone"].items()},
        "members": {m["name"]: m["metrics"][primary] for m in evaluation.get("members", [])},
        "patterns": [
            {
                "present": p["present"], "rows": p["rows"], "best member": p["best member"], **p["difference"],
                "together": p["metrics"][primary], "best member's": p["best member metrics"][primary],
                "worse": _is_worse(p["difference"], report["metric"]["higher_is_better"]),
            }
            for p in evaluation.get("patterns") or []
        ],
        "hidden": [
            {"present": p["present"], primary: p["metrics"][primary]["value"]} for p in missing["hidden"]
        ],
        "answers": model.predict(read_table(source).take(test_rows(source, how))).column("prediction").to_pylist(),
    }  # fmt: skip


def _is_worse(difference: dict[str, Any], higher_is_better: bool) -> bool:
    """Whether the whole interval lies on the wrong side."""
    low, high = difference["low"], difference["high"]
    return low is not None and high is not None and (high < 0 if higher_is_better else low > 0)


def _row(preset: str, runs: list[dict[str, Any]], wanted: list[str]) -> list[str]:
    """The line of a preset."""
    first = [r["patterns"][0] for r in runs if r["patterns"]]
    known = [[r["members"][name] for r in runs if name in r["members"]] for name in ALONE]
    worse = [sum(p["worse"] for p in r["patterns"]) for r in runs]
    return [
        preset, str(len(runs)), *(spread([r[k] for r in runs], 0 if k == "mae" else 3) for k in wanted),
        spread([p["best member's"] for p in first]) if first else "",
        ", ".join(sorted({p["best member"] for p in first})),
        *(spread(values) if values else "" for values in known),
        f"{max(worse)} of {len(runs[0]['patterns'])}" if first else "",
        f"{np.mean([r['seconds'] for r in runs]):.0f}", f"{max(r['megabytes'] for r in runs):.0f}",
    ]  # fmt: skip


def _show_patterns(found: dict[str, list[dict[str, Any]]]) -> None:
    """Everything and each modality alone."""
    shown = [p["present"] for p in next(iter(found.values()))[0]["hidden"]]
    most = max(map(len, shown), default=0)
    wanted = [p for p in shown if len(p) in (1, most)]
    if not wanted:
        return
    body = []
    for present in wanted:
        row = [" + ".join(present)]
        for runs in found.values():
            primary = runs[0]["primary"]
            row.append(spread([next(h for h in r["hidden"] if h["present"] == present)[primary] for r in runs]))
        for runs in found.values():
            own = [p for r in runs for p in r["patterns"] if p["present"] == present]
            if own:
                row += [
                    str(own[0]["rows"]), *(spread([p[k] for p in own]) for k in ("together", "best member's")),
                    ", ".join(sorted({p["best member"] for p in own})),
                    f"{own[0]['value']:+.3f} [{own[0]['low']:+.3f}, {own[0]['high']:+.3f}]",
                ]  # fmt: skip
        body.append(row)
    head = ["shown", *(f"{preset}, all rows" for preset in found)]
    for preset, runs in found.items():
        if runs[0]["patterns"]:
            head += ["rows with it", f"{preset} there", "best member there", "which", "difference, seed 0"]
    print()
    table(head, body)


def main() -> None:
    """Run and print."""
    given = arguments(
        __doc__ or "", data=".", seeds=5,
        options={"--only": ",".join(TABLES), "--presets": ",".join(PRESETS), "--kept": "", "--first": "0"},
    )  # fmt: skip
    for name in given.only.split(","):
        source, how = TABLES[name](given.data)
        found: dict[str, list[dict[str, Any]]] = {preset: [] for preset in given.presets.split(",")}
        for seed in range(int(given.first), given.seeds):
            for preset, runs in found.items():
                run = {"table": name, "preset": preset, "seed": seed}
                runs.append(kept_or_made(given.kept, run, partial(one, source, how, preset, seed)))
        runs = next(iter(found.values()))
        wanted = [k for k in runs[0] if k in (*WANTED["classification"], *WANTED["regression"])]
        head = [
            f"best member, {runs[0]['primary']}", "which", *ALONE, "patterns clearly worse than it", "seconds", "MB",
        ]  # fmt: skip
        print(f"\n{name}, mean (range)\n")
        table(["preset", "seeds", *wanted, *head], [_row(preset, runs, wanted) for preset, runs in found.items()])
        _show_patterns(found)


if __name__ == "__main__":
    main()
