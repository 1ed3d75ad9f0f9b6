"""Encoders give what their authors' code gives, for every architecture, and one item gives the same beside any others.

A new architecture joins by one line in ``tiny_architectures.py``.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from authors import measure
from tiny_architectures import ARCHITECTURES, CASES

from plait.weights.quiet import quiet_transformers

TOLERANCE = 1e-5
pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore::FutureWarning:transformers.*")]


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders that are made when they are first asked for."""

    class Folders(dict[str, Path]):
        def __missing__(self, name: str) -> Path:
            with quiet_transformers():
                self[name] = ARCHITECTURES[name].save(tmp_path_factory.mktemp(name))
            return self[name]

    return Folders()


@pytest.mark.parametrize(("prefix", "name", "kind"), CASES, ids=[":".join(case) for case in CASES])
def test_parity(prefix: str, name: str, kind: str, saved: dict[str, Path]) -> None:
    if kind == "audio":
        pytest.importorskip("soundfile", reason="extra audio")
        pytest.importorskip("soxr", reason="extra audio")
    with quiet_transformers():
        found = measure(prefix, name, kind, saved[name])
    assert max(found.authors, found.alone, found.order) <= TOLERANCE, found
