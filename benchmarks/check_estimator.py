"""What scikit-learn's own checks say of PlaitClassifier and PlaitRegressor.

``sklearn.utils.estimator_checks`` calls an estimator on small arrays in every way that its tools do. Printed are how
many checks pass, which are expected to fail (``FAILS`` in tests/api/test_estimators.py, each with its reason), which
scikit-learn itself skips here, and which fail.

Run: python benchmarks/check_estimator.py [PlaitClassifier | PlaitRegressor]     (minutes; without a name: both)
"""

from __future__ import annotations

import logging
import os
import sys
import time
import warnings
from collections import Counter

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("PYTHONWARNINGS", "ignore")

from measure import ROOT, line, table

sys.path.insert(0, str(ROOT / "tests"))
NAMES = ("PlaitClassifier", "PlaitRegressor")


def main() -> None:
    """Print a line an estimator, then one for each check that did not pass."""
    import sklearn
    from sklearn.utils.estimator_checks import check_estimator

    import plait
    from api.test_estimators import FAILS

    unknown = sorted({*sys.argv[1:]} - {*NAMES})
    if unknown:
        sys.exit(f"no estimator {', '.join(unknown)}; type {' or '.join(NAMES)}, or no name for both")
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    print(f"\nscikit-learn {sklearn.__version__}\n")
    table(["estimator", "checks", "passed", "expected to fail", "skipped", "failed", "minutes"], [])
    others = []
    for name in sys.argv[1:] or NAMES:
        settings = {"train.threads": 1, "train.baselines": False}
        made = getattr(plait, name)(preset="single", progress=False, settings=settings)
        start = time.perf_counter()
        results = check_estimator(made, expected_failed_checks=FAILS[name], on_fail=None, on_skip=None)
        minutes = (time.perf_counter() - start) / 60
        count = Counter(one["status"] for one in results)
        line([name, str(len(results)), *(str(count[s]) for s in ("passed", "xfail", "skipped", "failed")),
              f"{minutes:.1f}"])  # fmt: skip
        for one in results:
            if one["status"] != "passed":
                why = one["expected_to_fail_reason"] or str(one["exception"] or "")
                others.append([f"`{one['check_name']}`", name, one["status"], " ".join(why.split())[:200]])
    print()
    table(["check", "estimator", "status", "why"], others)


if __name__ == "__main__":
    main()
