"""The folder a run works in: guarded against others' files and other runs, resumable, and left clean when it fails.

Checkpoints (``checkpoints/``), the record of what the run is (``resume.json``) and TensorBoard logs lie in the output
folder while a run lasts, beside the model that is there; that model is exchanged for the new one at the end, and no
sooner.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from plait.api.folder_checks import RECORD, check_output_free, is_model
from plait.api.model_folder import folder_lock
from plait.data.table import Table
from plait.files import write_text
from plait.settings import RunSettings, to_dict
from plait.training.known_split import table_fingerprint

STANDS = "the model that was in {folder} stands as it was"
STAMP = ("settings", "table")  # what must not differ when a run goes on
CHANGES_NO_NUMBER = ("gradient_checkpointing", "fsdp")  # of settings of training


@contextlib.contextmanager
def working_folder(
    output: str | Path | None, settings: RunSettings, table: Table, resume: bool, overwrite: bool
) -> Iterator[Path]:
    """The folder a run works in: the output folder, guarded and locked, or a temporary one."""
    if output is None:
        with tempfile.TemporaryDirectory() as temporary:
            yield Path(temporary)
        return
    folder = Path(output)
    check_output_free(folder, resume=resume, overwrite=overwrite)
    with run_folder(folder, deciding(settings), table, resume=resume, overwrite=overwrite, has_model=is_model(folder)):
        yield folder


def deciding(settings: RunSettings) -> dict[str, Any]:
    """Settings that must not differ when a run goes on.

    Not among them are its time limit, which begins anew, and what changes no number: a run whose memory ran out may go
    on with gradient checkpointing or sharded.
    """
    given = {name: value for name, value in to_dict(settings).items() if name != "time_limit"}
    given["train"] = {name: value for name, value in given["train"].items() if name not in CHANGES_NO_NUMBER}
    return given


@contextlib.contextmanager
def run_folder(
    folder: Path, decides: dict[str, Any], table: Table, *, resume: bool, overwrite: bool, has_model: bool
) -> Iterator[None]:  # fmt: skip
    """Work in a folder that is free for it: under its lock, resumable, and without a trace where nothing can go on.

    Args:
        folder: The folder, which need not exist.
        decides: What must not differ when the run goes on; plain values.
        table: The rows, which must not either.
        resume: Go on with the run that is there.
        overwrite: Throw away what is there.
        has_model: Whether a finished model is there.
    """
    is_new = not folder.exists()
    with contextlib.ExitStack() as held:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if is_new:
                held.callback(_remove_empty, folder)
            held.enter_context(folder_lock(folder))
            stamp = {"settings": decides, "table": table_fingerprint(table)}
            _begin(folder, json.loads(json.dumps(stamp)), overwrite=overwrite, has_model=has_model)
        except OSError as error:
            raise ValueError(f"cannot write to {folder}: {error.strerror or error}") from error
        try:
            yield
        except BaseException as error:
            can_go_on = any((folder / "checkpoints").rglob("checkpoint-*")) or any(
                (folder / "checkpoints").rglob("try-*.json")
            )
            if not can_go_on:  # leave no trace
                shutil.rmtree(folder / "checkpoints", ignore_errors=True)
                (folder / RECORD).unlink(missing_ok=True)
            _tell(error, folder, has_model, can_go_on)
            raise


def _begin(folder: Path, stamp: dict[str, Any], *, overwrite: bool, has_model: bool) -> None:
    """Refuse what is not asked for, and write down what the run is."""
    record = folder / RECORD
    if (has_model or record.exists()) and not overwrite:
        _check_unfinished(folder, stamp)
    logs = []
    if overwrite:  # the unfinished run that was there is thrown away; the model stays until there is a new one
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)
        logs = sorted(p.relative_to(folder).as_posix() for p in (folder / "logs").rglob("*") if p.is_file())
    elif record.exists():
        logs = json.loads(record.read_text(encoding="utf-8")).get("old_logs", [])
    write_text(record, json.dumps({**stamp, "old_logs": logs}))


def _check_unfinished(folder: Path, stamp: dict[str, Any]) -> None:
    """Refuse a folder unless it holds the same run, unfinished, that is to go on."""
    record = folder / RECORD
    if not record.exists():
        raise ValueError(f"the run in {folder} has finished; type overwrite=True to train anew")
    try:
        before = json.loads(record.read_text(encoding="utf-8"))
        same = all(_in_any_language(before[key]) == _in_any_language(stamp[key]) for key in STAMP)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{record} is damaged; type overwrite=True to start anew") from error
    if not same:
        raise ValueError(
            f"the run in {folder} was started with other settings or another table; repeat its command with "
            "resume=True, or type overwrite=True to start anew"
        )


def _in_any_language(value: Any) -> Any:
    """Settings without the language of the pages, in which a run may go on that began in another."""
    if not isinstance(value, dict) or not isinstance(value.get("judge"), dict):
        return value
    return {**value, "judge": {name: one for name, one in value["judge"].items() if name != "lang"}}


@contextlib.contextmanager
def model_stands(output: str | Path | None, overwrite: bool) -> Iterator[None]:
    """Note on what goes wrong before a run begins that the model which it was to replace is still there."""
    try:
        yield
    except Exception as error:
        if overwrite and output is not None and is_model(Path(output)):
            error.add_note(STANDS.format(folder=output))
        raise


def _remove_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _tell(error: BaseException, folder: Path, has_model: bool, can_go_on: bool) -> None:
    """Note on an error what has become of the model that was there, and how to go on."""
    if has_model:
        error.add_note(STANDS.format(folder=folder))
    if can_go_on:
        error.add_note(
            f"the unfinished run is kept in {folder / 'checkpoints'}: do the same again with resume=True (and without "
            "overwrite=True) to go on with it"
        )
    elif has_model:
        error.add_note("nothing of the new one is kept: mend what is wrong and do the same again")


def forget_run(folder: Path) -> None:
    """Remove what only a run that goes on needs, and the logs of the model that was replaced."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        for name in json.loads((folder / RECORD).read_text(encoding="utf-8")).get("old_logs", []):
            if (path := folder / name).is_relative_to(folder / "logs"):
                path.unlink(missing_ok=True)
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    (folder / RECORD).unlink(missing_ok=True)
