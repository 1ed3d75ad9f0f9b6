"""Run the tutorials of docs/tutorials as tests do; write what they print into the pages, render the gallery's pictures.

    python benchmarks/tutorials.py                     # run all; say what is shown and not printed
    python benchmarks/tutorials.py sentiment --write   # fill the blocks `text seen` of a page, in both languages
    python benchmarks/tutorials.py --pictures          # the pictures of docs/gallery.md (Chromium and its driver)
    python benchmarks/tutorials.py --notebook          # run first-steps.ipynb; write it and its page, in both languages

A block `text seen` that holds the one line `*` is filled with the whole output; lines of any other block are replaced
by the first lines of the output that equal them but for their numbers. The Chinese page of each takes the same blocks:
nothing runs twice. Folders of the runs stay in build/tutorials.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
sys.path.insert(0, str(ROOT / "src"))

from fixtures import notebook_page, tutorials  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="pages without .md; all by default")
    parser.add_argument("--write", action="store_true", help="write what was printed into the pages")
    parser.add_argument("--pictures", action="store_true", help="render the pictures of the gallery")
    parser.add_argument("--notebook", action="store_true", help="run and write the notebook and its page")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "tutorials", help="folder of the runs")
    given = parser.parse_args()
    if given.notebook:
        notebook_page.write_notebook(notebook_page.run_notebook())
        return
    if given.pictures:
        from gallery import render

        render(given.out)
        return
    for page in tutorials.pages():
        if not given.names or page.stem in given.names:
            run(page, given.out / page.stem, write=given.write)


def run(page: Path, folder: Path, *, write: bool) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    os.environ["PLAIT_FEATURES"] = str(folder / ".features")  # as on a reader's first day
    text = page.read_text("utf-8")
    outputs = tutorials.run_page(page, folder, seconds=600)
    print(f"{page.name}: {sum(one['seconds'] for one in outputs):.1f} s", [one["seconds"] for one in outputs])
    for step, made in reversed(list(zip(tutorials.steps(text), outputs, strict=True))):
        if step.seen is None or step.span is None:
            continue
        if not write:
            for line in tutorials.not_seen(step, made["output"]):
                print(f"  line {step.line}: not printed: {line}")
            continue
        text = text[: step.span[0]] + again(step.seen, made["output"]) + text[step.span[1] :]
    if write:
        page.write_text(text, encoding="utf-8")
        chinese = tutorials.twin(page)
        chinese.write_text(tutorials.with_outputs_of(chinese.read_text("utf-8"), text), encoding="utf-8")


def again(seen: str, output: str) -> str:
    """The lines that a page shows, with the numbers of this run."""
    if seen.strip() == "*":
        return output.strip("\n") + "\n"
    printed = output.splitlines()
    lines = []
    for line in seen.splitlines():
        like = [one for one in printed if tutorials.matches(tutorials.plain(line), tutorials.plain(one))]
        if not line.strip() or not like:
            if line.strip() not in ("", "..."):
                print(f"  not printed: {line}")
            lines.append(line)
        elif line.rstrip().endswith("..."):
            lines.append(line)
        else:
            lines.append(like[0])
            printed.remove(like[0])
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
