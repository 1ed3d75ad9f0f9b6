"""The official MS-COCO files, read, trained on and evaluated by one command each: matching, and objects in photos."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from measure import arguments


def main() -> None:
    """Run the commands and let them print."""
    given = arguments(__doc__ or "", data="coco-mini", seeds=1)
    with tempfile.TemporaryDirectory() as folder:
        for task in ("matching", "multilabel"):
            command = [
                "plait",
                "fit",
                str(given.data),
                "--format",
                "coco",
                "--task",
                task,
                "-o",
                f"{folder}/{task}",
            ]
            print(f"\n== plait fit coco-mini --format coco --task {task}", flush=True)
            subprocess.run([str(Path(sys.executable).with_name("plait")), *command[1:], "--quiet"], check=True)


if __name__ == "__main__":
    main()
