"""Training aids on the recipe's fusion, and late fusions beside each other, on posts and on a published table.

Both by ``plait compare``: the same rows, seeds and configuration for all, the epoch chosen on validation rows. The
difference to the line named "against" is paired over test rows and seeds, its interval holds for all pairs at once.
"""

from __future__ import annotations

import json
from typing import Any

import plait
from ensemble import TABLES
from measure import arguments, quiet, table

LATE = "late_mean,evidential,rcml,dbf,qmf,pdf,reconboost,flex_moe"


def difference(report: dict[str, Any], name: str, against: str) -> str:
    """Test metric of a line less that of another, with its interval."""
    for found in report["differences"]:
        if {found["a"], found["b"]} == {name, against}:
            sign = 1 if found["a"] == name else -1
            low, high = sorted((sign * found["low"], sign * found["high"]))
            return f"{sign * found['difference']:+.3f} [{low:+.3f}, {high:+.3f}]"
    return ""


def main() -> None:
    """Run and print."""
    given = arguments(__doc__ or "", data=".", seeds=3, options={"--only": "posts,rosmap", "--search": "1"})
    for name in given.only.split(","):
        source, how = TABLES[name](given.data)
        for objectives, fusion in (("all", "all"), ("", LATE)):
            options: dict[str, Any] = {"objectives": objectives, "fusion": fusion, **how}
            found = plait.compare(source, seeds=given.seeds, search=int(given.search), progress=quiet, **options)
            report = found.report
            lines = [m for m in report["methods"] if m["status"] == "ok"]
            plain = next((m["name"] for m in lines if m["kind"] == "fusion" and not m["objectives"]), "late_mean")
            body = [
                [
                    m["name"], f"{m['metric']['value']:.3f} [{m['metric']['low']:.3f}, {m['metric']['high']:.3f}]",
                    "" if m["name"] == plain else difference(report, m["name"], plain),
                    f"{m['metrics'].get('log_loss') or float('nan'):.3f}", f"{m['validation']['value']:.3f}",
                    f"{m['cost']['train_seconds']:.1f}",
                ]
                for m in lines
            ]  # fmt: skip
            metric = report["metric"]["name"]
            print(f"\n{name}, {given.seeds} seeds, against {plain}; {report['runs']['seconds']} s in all\n")
            table(
                ["line", f"{metric}, test", "difference", "log loss", f"{report['selection_metric']}, val", "s"], body
            )
            for m in report["methods"]:
                if m["status"] != "ok":
                    print(f"\n{m['name']}: {m['status']}: {m['reason']}")
            print(json.dumps({"table": name, "verdict": found.verdict}), flush=True)


if __name__ == "__main__":
    main()
