"""What can be said of a model folder without reading it: there or not, free or taken. Nothing heavy is imported."""

from __future__ import annotations

from pathlib import Path

FOLDER_FILES = ("config.json", "inputs.json", "labels.json", "model.safetensors", "run.yaml", "schema.json")
RECORD = "resume.json"


def check_model_there(folder: Path) -> None:
    """Refuse what is not a finished model folder.

    Raises:
        FileNotFoundError: No such folder.
        ValueError: Files are missing in it.
    """
    if not folder.is_dir():
        raise FileNotFoundError(
            f"no model folder at {folder}; plait.fit(TABLE, target=COLUMN, output={str(folder)!r}) makes one"
        )
    lacking = [f for f in FOLDER_FILES if not (folder / f).is_file()]
    if lacking:
        unfinished = " (training there has not finished: run the same fit again with resume=True)"
        raise ValueError(
            f"{folder} is not a Plait model: {', '.join(lacking)} not found"
            + (unfinished if (folder / "checkpoints").is_dir() else "")
        )


def check_output_free(output: str | Path | None, *, resume: bool, overwrite: bool) -> None:
    """Refuse a folder for a model that holds something else, or a model that nobody gave away.

    Raises:
        ValueError: The message says what to type.
    """
    if output is None:
        return
    folder = Path(output)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; choose a folder for the model")
    if not folder.exists() or not any(folder.iterdir()):
        return
    record = folder / RECORD
    if not (folder / "inputs.json").exists() and not record.exists():
        raise ValueError(f"{folder} holds other files; choose a new folder for the model")
    if not resume and not overwrite:
        advice = "resume=True to go on with it, or " if record.exists() else ""
        raise ValueError(f"{folder} holds a model or an unfinished run already; type {advice}overwrite=True")
