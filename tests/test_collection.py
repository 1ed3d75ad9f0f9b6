"""Collecting the tests stays quick: no test file imports at its top what takes seconds."""

from __future__ import annotations

import ast
from pathlib import Path

SLOW = {
    "datasets", "lancedb", "pandas", "polars", "scipy", "sklearn", "timm", "torchvision", "transformers",
    "plait.api", "plait.comparison", "plait.model", "plait.training",
}  # fmt: skip


def test_slow_imports_wait_for_their_first_use() -> None:
    found = []
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            found += [f"{path.name}: {m}" for m in modules if SLOW & {m.split(".")[0], ".".join(m.split(".")[:2])}]
    assert found == [], "import it inside the test, or name it through fixtures.lazy"
