"""Wrong labels found: 5 % of the labels of real tables are flipped, and confident learning looks for them.

A table's labels are flipped in 5 % of its rows, to another class drawn evenly. Features of frozen encoders, or ready
vectors, go to the linear models of the trust report, and the rows it would call probably wrong are counted, beside all
that confident learning names. Precision: the share of those whose label was flipped; recall: the share of the flipped
rows that are named. Labels that were wrong before count against precision.

The limit of the odds was chosen with ``--choosing yes`` on other tables and other seeds: made tables, scikit-learn's
digits, wines and cancers, and ROSMAP.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from measure import arguments, spread, table
from plait.data.schema import guess_schema
from plait.data.table import Table, read_table
from plait.evaluation.trust.features import item_features
from plait.evaluation.trust.label_errors import REPEATS
from plait.evaluation.trust.refits import refit_classes
from plait.inputs.inputs import load_inputs
from plait.inputs.prepare import fit_inputs, prepare
from plait.metrics.trust.label_errors import STRONG, label_errors
from plait.settings import RunSettings, set_values
from published_features import mosi, rosmap

NOISE = 0.05
CHOOSING_SEEDS, REPORTED_SEEDS = 100, 0  # the first of each
IDLE = ["text_fr", "text_zh_CN", "audio", "sound"]
ODDS = (10.0, 20.0, STRONG, 50.0)


class Features(NamedTuple):
    """Features of every row by modality [N, D], what is there [N, M], labels, and what rows are drawn with."""

    values: dict[str, np.ndarray]
    present_NM: np.ndarray  # noqa: N815  shape letters
    label: list[Any]
    unit: np.ndarray | None = None


def reported(base: Path, stamps: str) -> dict[str, Any]:
    """Name -> what opens the features of a table that is reported."""
    found: dict[str, Any] = {}
    published = base / "published"
    if published.is_dir():
        found["MOSI (ready vectors)"] = lambda: ready(*mosi(published))
        found["wiki (ready vectors)"] = lambda: wiki(published / "wiki_rasiwasia2010.npz")
    sounds = base / "esc10-sounds" / "sounds.csv"
    if sounds.is_file():
        found["ESC-10 (sound)"] = lambda: encoded(
            read_table(sounds), "label", ["encoders.audio=whisper-tiny-en", "encoders.audio_seconds=5"],
            audio=["audio"], ignore=["fold"],
        )  # fmt: skip
    if stamps:
        found["stamps (picture, text)"] = lambda: encoded(
            read_table(Path(stamps) / "table.csv"), "category", [], image=["image"], text=["text_en"], id="id",
            ignore=IDLE,
        )  # fmt: skip
    return found


def choosing(base: Path) -> dict[str, Any]:
    """Name -> what opens the features of a table that the limit was chosen on."""
    from sklearn import datasets

    found: dict[str, Any] = {
        "ROSMAP": lambda: ready(*rosmap(base / "published")),
        **{name: lambda name=name: bunch(getattr(datasets, f"load_{name}")()) for name in ("digits", "wine")},
        "cancer": lambda: bunch(datasets.load_breast_cancer()),
    }
    sizes = ((2, 1500, 30, 1.0), (4, 1200, 20, 1.0), (9, 900, 120, 1.0), (10, 1500, 60, 1.6))
    for classes, rows, width, apart in sizes:
        made = datasets.make_classification(
            rows, width, n_informative=min(width // 2, 12), n_redundant=0, n_classes=classes, class_sep=apart,
            n_clusters_per_class=1 if classes > 2 else 2, flip_y=0, random_state=1,
        )  # fmt: skip
        found[f"made, {classes} classes"] = lambda made=made: plain({"x": made[0]}, made[1].tolist())
    return found


def plain(values: dict[str, np.ndarray], label: list[Any], unit: np.ndarray | None = None) -> Features:
    """Features that are all there."""
    values = {name: np.asarray(v, dtype=np.float32) for name, v in values.items()}
    return Features(values, np.ones((len(label), len(values)), dtype=bool), label, unit)


def bunch(given: Any) -> Features:
    """One of scikit-learn's own tables."""
    return plain({"x": given.data}, given.target.tolist())


def ready(columns: dict[str, list[Any]], options: dict[str, Any]) -> Features:
    """Vector columns of a published table."""
    unit = None
    if "group" in options:
        unit = np.unique(columns[options["group"]], return_inverse=True)[1]
    return plain({name: np.stack(columns[name]) for name in options["vector"]}, columns["label"], unit)


def wiki(path: Path) -> Features:
    """Counts of visual words and topic shares of Wikipedia articles."""
    with np.load(path, allow_pickle=False) as parts:
        image, text, label = (np.concatenate([parts[f"{n}_tr"], parts[f"{n}_te"]]) for n in ("I", "T", "y"))
    return plain({"image": image, "text": text}, label.tolist())


def encoded(rows: Table, target: str, settings: list[str], **columns: Any) -> Features:
    """What frozen encoders make of a table."""
    schema = guess_schema(rows, target=target, **columns)
    encoders = set_values(RunSettings(), settings).encoders
    inputs = load_inputs(schema.modalities, encoders, with_tokens=False, max_pixels=10**8, table=rows)
    prepared = prepare(rows, inputs)
    fit_inputs(inputs, prepared, np.arange(len(rows)), schema)
    index = {name: items.index_N for name, items in prepared.rows.items.items()}
    values = {
        name: np.where((index[name] >= 0)[:, None], made[np.maximum(index[name], 0)], 0.0)
        for name, made in item_features(inputs, prepared).items()
    }
    present_NM = np.stack([index[name] >= 0 for name in values], axis=1)
    return Features(values, present_NM, rows.column(target))


def flipped(labels: list[Any], seed: int) -> tuple[list[Any], np.ndarray]:
    """Labels of which 5 % were given another class, and which."""
    rng = np.random.default_rng(seed)
    classes = sorted(set(labels))
    chosen = rng.choice(len(labels), round(NOISE * len(labels)), replace=False)
    given = list(labels)
    for row in chosen:
        given[row] = rng.choice([c for c in classes if c != labels[row]]).item()
    is_flipped = np.zeros(len(labels), dtype=bool)
    is_flipped[chosen] = True
    return given, is_flipped


def main() -> None:
    """Run and print."""
    given = arguments(__doc__ or "", data="", seeds=5, options={"--stamps": "", "--only": "", "--choosing": ""})
    todo = choosing(given.data) if given.choosing else reported(given.data, given.stamps)
    first = CHOOSING_SEEDS if given.choosing else REPORTED_SEEDS
    body = []
    for name, open_features in todo.items():
        if given.only and given.only not in name:
            continue
        rows, found = open_features(), []
        classes = sorted(set(rows.label))
        for seed in range(first, first + given.seeds):
            labels, is_flipped = flipped(rows.label, seed)
            label = np.array([classes.index(value) for value in labels])
            made = refit_classes(
                rows.values, rows.present_NM, label, len(classes), unit=rows.unit, repeats=REPEATS, seed=seed
            )
            errors = label_errors(made.probability_NC, label)
            chosen = {"all": errors.rows, **{f"{odds:.0f}": errors.rows[errors.odds >= odds] for odds in ODDS}}
            right = {key: int(is_flipped[which].sum()) for key, which in chosen.items()}
            found.append({
                "table": name, "seed": seed, "rows": len(label), "flipped": int(is_flipped.sum()),
                "accuracy": float((made.probability_NC.argmax(axis=1) == label).mean()),
                "named": {key: len(which) for key, which in chosen.items()}, "right": right,
            })  # fmt: skip
            print(json.dumps(found[-1]), flush=True)
        body.append([name, f"{len(rows.label):,}", spread([f["accuracy"] for f in found]), *_cells(found)])
    columns = [f"odds {odds:.0f}: named, precision, recall" for odds in ODDS]
    table(["table", "rows", "linear models right", "all: named, precision, recall", *columns], body)


def _cells(found: list[dict[str, Any]]) -> list[str]:
    """Rows named a seed; precision over all seeds; recall over all seeds."""
    cells = []
    for key in found[0]["named"]:
        named = sum(f["named"][key] for f in found)
        right, flips = sum(f["right"][key] for f in found), sum(f["flipped"] for f in found)
        cells.append(f"{named / len(found):.0f}, {right / named:.2f}, {right / flips:.2f}" if named else "0, -, 0")
    return cells


if __name__ == "__main__":
    main()
