"""The folder a run works in: guarded against others' files and other runs, resumable, and left clean when it fails."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from plait.api.folder_checks import RECORD, check_output_free
from plait.api.model_folder import OWN_FILES
from plait.data.table import Table
from plait.files import write_text
from plait.settings import RunSettings, to_dict
from plait.training.splitting import table_fingerprint


@contextlib.contextmanager
def working_folder(
    output: str | Path | None, settings: RunSettings, table: Table, resume: bool, overwrite: bool
) -> Iterator[Path]:
    """The folder a run works in: the output folder, guarded, or a temporary one."""
    if output is None:
        with tempfile.TemporaryDirectory() as temporary:
            yield Path(temporary)
        return
    folder = Path(output)
    stamp = {"settings": to_dict(settings), "table": table_fingerprint(table)}
    record = folder / RECORD
    check_output_free(folder, resume=resume, overwrite=overwrite)
    if folder.exists() and any(folder.iterdir()):
        _take_over(folder, record, stamp, overwrite)
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(record, json.dumps(stamp))
    except OSError as error:
        raise ValueError(f"cannot write to {folder}: {error.strerror or error}") from error
    try:
        yield folder
    except BaseException:
        if not any((folder / "checkpoints").rglob("checkpoint-*")):  # nothing to resume: leave no trace
            shutil.rmtree(folder / "checkpoints", ignore_errors=True)
            record.unlink(missing_ok=True)
            if is_new and not any(folder.iterdir()):
                folder.rmdir()
        raise


def _take_over(folder: Path, record: Path, stamp: dict[str, Any], overwrite: bool) -> None:
    """Clear a folder of the old model under ``overwrite``; else refuse a run that cannot go on."""
    if overwrite:
        for name in OWN_FILES:  # what others have put there stays
            if (folder / name).is_dir():
                shutil.rmtree(folder / name)
            else:
                (folder / name).unlink(missing_ok=True)
        return
    if not record.exists():
        raise ValueError(f"the run in {folder} has finished; type overwrite=True to train anew")
    try:
        before = json.loads(record.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{record} is damaged; type overwrite=True to start anew") from error
    if before != json.loads(json.dumps(stamp)):
        raise ValueError(
            f"the run in {folder} was started with other settings or another table; repeat its command with "
            "resume=True, or type overwrite=True to start anew"
        )


def forget_run(folder: Path) -> None:
    """Remove what only a run that goes on needs."""
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    (folder / RECORD).unlink(missing_ok=True)
