"""Image-text matching on flickr8k-2k, balanced pairs of the test split: recipes and plain baselines, several seeds.

The seed changes the drawn wrong pairs of all splits, the initial weights and the order of the batches.
"""

from __future__ import annotations

import plait
from measure import arguments, metric, quiet, spread, table

RUNS = {
    "default (cosine fusion, pair head, alignment)": {},
    "words": {"set": ["encoders.words=256"]},
    "words, two towers a side": {"set": ["encoders.words=256", "fusion.options={copies: 2}"]},
    "photos at 224 px": {"set": ["encoders.image_size=224"]},
    "whole photos": {"set": ["encoders.image_crops=whole"]},
    "concat + MLP, label head": {"fusion": "concat", "set": ["task.head=label", "train.alignment=0"]},
    "product, label head": {"set": ["task.head=label", "train.alignment=0"]},
    "classic (weighted sum, linear head)": {"recipe": "classic"},
}


def main() -> None:
    """Run and print."""
    given = arguments(__doc__ or "", data="flickr8k-2k", options={"--only": ""})
    body, sentences = [], {}
    for name, options in RUNS.items():
        if given.only and name not in given.only.split(";"):
            continue
        reports = []
        for seed in range(given.seeds):
            settings = {
                **options,
                "set": [*options.get("set", []), *([] if seed == 0 else ["train.baselines=false"])],
            }
            fitted = plait.fit(given.data, format="coco", task="matching", seed=seed, progress=quiet, **settings)
            reports.append(fitted.report)
        accuracies = [metric(r, "accuracy") for r in reports]
        alone = reports[0]["evaluation"]["alone"]
        alone_text = (
            ", ".join(f"{n} {m['accuracy']['value']:.3f}" for n, m in alone.items()) or "chance by construction"
        )
        body.append([name, spread(accuracies), spread([metric(r, "auroc") for r in reports]), alone_text])
        sentences[name] = reports[0]["verdict"]
    table(
        [
            "run",
            f"test accuracy, mean of {given.seeds} seeds (range)",
            "AUROC",
            "each modality alone (seed 0)",
        ],
        body,
    )
    print()
    for name, sentence in sentences.items():
        print(f"- {name}: {sentence}")


if __name__ == "__main__":
    main()
