"""Chinese captions of flickr8k-2k: trained in Chinese, or in English and searched in Chinese; English for reference.

Hit rates on the 250 test photos. The first two need the multilingual text encoder e5-small-multilingual.
"""

from __future__ import annotations

from typing import Any

import plait
from measure import arguments, quiet, spread, table

E5 = ["encoders.text=e5-small-multilingual"]
DEPTHS = (1, 5, 10)


def main() -> None:
    """Run and print."""
    given = arguments(__doc__ or "", data="flickr8k-2k")
    found: dict[str, list[list[float]]] = {}
    for seed in range(given.seeds):
        chinese = fit(given.data, seed, E5, "annotations-zh")
        english = fit(given.data, seed, E5, None)
        reference = fit(given.data, seed, [], None)
        crossed = english.evaluate(given.data, rows="test", annotations="annotations-zh")
        for name, report in (
            ("e5, trained and searched in Chinese", chinese.report),
            ("e5, trained in English, searched in Chinese", crossed),
            ("e5, trained and searched in English", english.report),
            ("minilm, trained and searched in English", reference.report),
        ):
            found.setdefault(name, []).append(hits(report))
    head = [f"run, mean of {given.seeds} seeds (range)", *(f"{w} @{k}" for w in ("t2i", "i2t") for k in DEPTHS)]
    table(head, [[name, *(spread(list(c)) for c in zip(*seeds, strict=True))] for name, seeds in found.items()])


def fit(data: Any, seed: int, options: list[str], annotations: str | None) -> plait.Plait:
    """The default on one language."""
    return plait.fit(
        data, format="coco", task="retrieval", annotations=annotations, seed=seed, set=options, progress=quiet
    )


def hits(report: dict[str, Any]) -> list[float]:
    """Hit rates, captions to images first."""
    by_query = {d["query"]: d["metrics"] for d in report["evaluation"]["directions"]}
    return [by_query[query][f"hit_rate@{k}"]["value"] for query in ("caption", "image") for k in DEPTHS]


if __name__ == "__main__":
    main()
