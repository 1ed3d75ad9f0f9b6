"""AutoGluon 1.6.3 (``MultiModalPredictor``) on posts: accuracy, macro-F1 and log loss on the test rows, seconds.

It lives in an environment of its own: ``uv venv gluon``, then ``uv pip install --python gluon/bin/python
autogluon.multimodal==1.6.3``, then ``gluon/bin/python benchmarks/autogluon_posts.py``. Plait is not imported. Where the
Hugging Face hub can be reached, AutoGluon's own checkpoints are used (leave ``--text`` and ``--image`` out). Where not,
name folders: one of a BERT with its tokenizer, and a file of weights of the timm model ``tf_efficientnet_lite0``,
such as those that Plait keeps; then both sides start from the same weights, AutoGluon tunes them in full.
Training rows train, validation rows choose, test rows are only read for the numbers.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

LITE = {
    "architecture": "tf_efficientnet_lite0", "num_features": 1280, "num_classes": 0, "input_size": [3, 224, 224],
    "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "interpolation": "bicubic", "crop_pct": 0.875,
}  # fmt: skip


def checkpoint(weights: Path, folder: Path) -> Path:
    """A folder as AutoGluon reads timm models from."""
    import torch
    from safetensors.torch import load_file

    kept = {k: v for k, v in load_file(weights).items() if not k.startswith("classifier.")}
    torch.save(kept, folder / "pytorch_model.bin")
    (folder / "config.json").write_text(json.dumps({**LITE, "pretrained_cfg": LITE}))
    return folder


def settings_of(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Where the networks start."""
    found: dict[str, Any] = {"env.num_gpus": 0, "env.num_workers": 0, "env.num_workers_inference": 0}
    if given.text:
        found["model.hf_text.checkpoint_name"] = str(given.text)
    if given.image:
        found["model.timm_image.checkpoint_name"] = str(checkpoint(given.image, folder))
    return found


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    base = Path(os.environ.get("PLAIT_TEST_DATA", Path(__file__).resolve().parent.parent / ".." / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=base / "posts-sentiment")
    parser.add_argument("--text", type=Path, help="folder of a BERT")
    parser.add_argument("--image", type=Path, help="weights of tf_efficientnet_lite0, safetensors")
    parser.add_argument("--limit", type=int, default=1000, help="seconds of training")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    from autogluon.multimodal import MultiModalPredictor

    rows = pd.read_csv(given.data / "posts.csv", keep_default_na=False)
    rows["image"] = [str(given.data / name) for name in rows["image"]]
    part = {name: rows[rows["split"] == name].drop(columns="split") for name in ("train", "val", "test")}
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        predictor = MultiModalPredictor(label="sentiment", path=str(Path(folder) / "model"), eval_metric="accuracy")
        (Path(folder) / "image").mkdir()
        predictor.fit(
            part["train"], tuning_data=part["val"], time_limit=given.limit, seed=given.seed,
            hyperparameters=settings_of(given, Path(folder) / "image"),
        )  # fmt: skip
        seconds = time.monotonic() - started
        size = sum(f.stat().st_size for f in (Path(folder) / "model").rglob("*") if f.is_file()) / 1e6
        outputs = predictor.predict_proba(part["test"].drop(columns="sentiment"), as_pandas=True)
    truth = part["test"]["sentiment"].to_numpy()
    from sklearn.metrics import accuracy_score, f1_score, log_loss

    answers = np.array(outputs.columns)[outputs.to_numpy().argmax(1)]
    print(
        json.dumps(
            {
                "accuracy": accuracy_score(truth, answers), "f1_macro": f1_score(truth, answers, average="macro"),
                "log_loss": log_loss(truth, outputs.to_numpy(), labels=list(outputs.columns)), "seconds": seconds,
                "megabytes": size, "seed": given.seed, "limit": given.limit, "answers": answers.tolist(),
            }
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
