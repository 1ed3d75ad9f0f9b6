"""How modalities are best hidden in training: independently or down to random subsets, and how often.

A choice, so test rows are left out of it: each data set's validation rows are judged, and an eighth of its training
rows takes their place. Every row of the table is the mean over seeds of the metric with everything there, over all
patterns of what is there that a report lists (all of up to four modalities; of five, singles and all but one), and with
one modality only; the last line is what models of one modality alone reach.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import plait
from measure import ROOT, arguments, quiet, table
from plait.data.table import Table, read_table

WAYS = {
    f"{pattern}, {rate}": [f"train.modality_dropout={rate}", f"train.modality_dropout_pattern={pattern}"]
    for pattern, rate in [
        ("independent", 0.1), ("independent", 0.3), ("independent", 0.5),
        ("subset", 0.3), ("subset", 0.5), ("subset", 0.7),
    ]
}  # fmt: skip
DATA: dict[str, dict[str, Any]] = {
    "posts-sentiment": {"file": "posts.csv", "target": "sentiment", "metric": "accuracy", "kinds": {}, "set": []},
    "houses": {
        "file": "houses.csv", "target": "price", "metric": "r2", "kinds": {"categorical": "zipcode"}, "set": [],
    },
    "tuxpaint": {
        "file": "table.csv", "target": "category", "metric": "accuracy",
        "kinds": {
            "text": ["text_en", "text_zh_CN"], "image": "image", "audio": "audio", "id": "id",
            "ignore": ["text_fr", "sound"],
        },
        "set": ["encoders.columns.text_zh_CN=e5-small-multilingual", "encoders.audio_seconds=6"],
    },
}  # fmt: skip


def without_test(rows: Table) -> Table:
    """Validation rows in the place of test rows, every eighth training row in theirs."""
    rows = rows.take([i for i, s in enumerate(rows.column("split")) if s != "test"])
    split = ["test" if s == "val" else s for s in rows.column("split")]
    train = [i for i, s in enumerate(split) if s == "train"]
    for i in train[7::8]:
        split[i] = "val"
    place = rows.arrow.column_names.index("split")
    return Table(rows.arrow.set_column(place, "split", pa.array(split)), rows.root, rows.source)


def main() -> None:
    """Train and judge every way on every data set that is there."""
    given = arguments(__doc__ or "", data=None, seeds=3, options={"--folder": "tuxpaint"})
    base = Path(os.environ.get("PLAIT_TEST_DATA", ROOT / ".." / "shared" / "data"))
    for name, facts in DATA.items():
        file = (Path(given.folder) if name == "tuxpaint" else base / name) / facts["file"]
        if not file.exists():
            print(f"\n{name}: no {file}")
            continue
        rows, found, alone = without_test(read_table(file)), {}, []
        for way, settings in WAYS.items():
            first = way == next(iter(WAYS))
            for seed in range(given.seeds):
                judged = plait.fit(
                    rows, facts["target"], split="split", seed=seed, progress=quiet, **facts["kinds"],
                    set=[*facts["set"], *settings, f"train.baselines={'true' if first else 'false'}"],
                ).report["evaluation"]  # fmt: skip
                metric = facts["metric"]
                whole = judged["metrics"][metric]["value"]
                seen = {tuple(h["present"]): h["metrics"][metric]["value"] for h in judged["missing"]["hidden"]}
                numbers = [whole, float(np.mean([whole, *seen.values()]))]
                numbers += [v for k, v in seen.items() if len(k) == 1]
                names = [k[0] for k in seen if len(k) == 1]
                found.setdefault(way, []).append(numbers)
                print(json.dumps({"data": name, "way": way, "seed": seed, "found": numbers}), flush=True)
                if first:
                    alone.append([judged["alone"][n][metric]["value"] for n in names])
        lines = [[way, *(f"{x:.3f}" for x in np.mean(several, axis=0))] for way, several in found.items()]
        lines.append(["a model of it alone", "", "", *(f"{x:.3f}" for x in np.mean(alone, axis=0))])
        print(f"\n{name}, {facts['metric']}, mean of {given.seeds} seeds, validation rows\n")
        table(["hidden in training", "everything", "mean of the patterns", *names], lines)


if __name__ == "__main__":
    main()
