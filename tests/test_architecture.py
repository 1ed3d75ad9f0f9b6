"""The shape of the code, read from its syntax trees: arrows, sizes, docstrings, extras, safety, the tree."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SRC = ROOT / "src" / "plait"

# A room may import itself and the rooms above it in this list (docs/index.md), never one below.
ORDER = [
    "registry", "files", "metrics", "report", "settings", "data", "weights", "processors", "encoders",
    "fusion", "heads", "tasks", "objectives", "model", "inputs", "inference", "training", "ensemble",
    "evaluation", "explain", "api", "index", "comparison", "serve", "cli",
]  # fmt: skip
RANK = {room: rank for rank, room in enumerate(ORDER)}
ALONE = {"metrics"}  # imports nothing from plait
WITHOUT_TORCH = {"registry", "files", "settings", "data", "metrics"}
FORBIDDEN_WORDS = {"utils", "util", "helpers", "helper", "common", "misc", "constants"}
PICKLES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
EXTRA_NAMED = re.compile(r"plait\[([a-z0-9_,\- ]+)\]")
REGISTRY_ADDRESS = re.compile(
    r"https?://(?:[\w.-]+[./])?(?:pypi\.|pythonhosted\.|download\.pytorch\.|npmjs\.|anaconda\.|crates\.io|simple/)"
)


def modules() -> list[Path]:
    return sorted(path for path in SRC.rglob("*.py"))


def name(path: Path) -> str:
    return path.relative_to(SRC).as_posix()


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def room(path: Path) -> str:
    first = path.relative_to(SRC).parts[0]
    return first.removesuffix(".py")


def package_of(path: Path) -> list[str]:
    """The dotted package in which a module lies: ["plait", "data"] for data/table.py and data/__init__.py."""
    return ["plait", *path.relative_to(SRC).parts[:-1]]


def imported(path: Path, node: ast.AST) -> Iterator[str]:
    """Full dotted names that an import statement brings in, relative ones resolved."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            package = package_of(path)
            base = ".".join(package[: len(package) - node.level + 1] + ([base] if base else []))
        yield from (f"{base}.{alias.name}" for alias in node.names)


def all_imports(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree(path)):
        for dotted in imported(path, node):
            yield node.lineno, dotted  # type: ignore[attr-defined]


def test_every_file_lies_in_a_known_room() -> None:
    entrances = {"__init__", "__main__"}
    unknown = sorted({room(path) for path in modules()} - set(ORDER) - entrances)
    assert not unknown, f"{unknown} stand in no place of ORDER; add them there and to both README trees"


def test_at_most_25_rooms() -> None:
    assert len(ORDER) <= 25 and len(set(ORDER)) == len(ORDER), "a newcomer learns the rooms by heart: join two of them"


def test_no_two_classes_of_one_name() -> None:
    homes: dict[str, list[str]] = {}
    for path in modules():
        for node in tree(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(name(path))
    twice = {word: places for word, places in homes.items() if len(places) > 1}
    assert not twice, f"one word per thing: {twice}"


def test_the_order_of_rooms_is_told_alike_everywhere() -> None:
    """The list above, both README trees and both start pages of docs name the same rooms in the same order."""
    for page in ("index.md", "index.zh-CN.md"):
        text = (ROOT / "docs" / page).read_text("utf-8")
        listed = re.findall(r"^\| `(\w+)(?:/|\.py)` \|", text, flags=re.MULTILINE)
        assert listed == ORDER, f"docs/{page} lists {listed}"
    for readme in ("README.md", "README.zh-CN.md"):
        named = [entry.rstrip("/").removesuffix(".py") for entry in readme_tree(ROOT / readme)]
        assert [entry for entry in named if not entry.startswith("__")] == ORDER, readme


def test_imports_point_one_way() -> None:
    wrong = []
    for path in modules():
        here = room(path)
        if here not in RANK:  # __init__ and __main__ stand above all rooms
            continue
        for line, dotted in all_imports(path):
            parts = dotted.split(".")
            if parts[0] != "plait" or dotted == "plait.__version__":
                continue
            there = parts[1] if len(parts) > 1 else "__init__"
            if there == here:
                continue
            if here in ALONE or RANK.get(there, len(RANK)) > RANK[here]:
                wrong.append(f"{name(path)}:{line} imports {dotted}")
    assert not wrong, "arrows that point backwards:\n" + "\n".join(wrong)


# The command line stands on these and on itself; of the last four it reaches only what the package itself names.
OPEN_TO_CLI = (
    "plait.cli", "plait.__version__", "plait.registry", "plait.files", "plait.settings", "plait.data.catalog",
    "plait.data.progress",
)  # fmt: skip
DOORS = ("plait.api", "plait.index", "plait.comparison", "plait.serve")


def named_by(package: str) -> set[str]:
    """The names that a package itself lists in ``__all__``."""
    body = tree(SRC.joinpath(*package.split(".")[1:], "__init__.py")).body
    lists = [n.value for n in body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "__all__"]
    return set(ast.literal_eval(lists[0]))


def reaches_past_the_doors(dotted: str) -> bool:
    if dotted.split(".")[0] != "plait" or dotted.startswith(tuple(f"{room}." for room in OPEN_TO_CLI)):
        return False
    package, _, word = dotted.rpartition(".")
    return dotted not in (*OPEN_TO_CLI, *DOORS) and not (package in DOORS and word in named_by(package))


def test_the_command_line_reaches_the_api_and_nothing_under_it() -> None:
    cli = [path for path in modules() if room(path) == "cli"]
    wrong = [
        f"{name(path)}:{line} imports {dotted}"
        for path in cli
        for line, dotted in all_imports(path)
        if reaches_past_the_doors(dotted)
    ]
    assert len(cli) > 10 and not wrong, "take these through plait.api, index, comparison or serve:\n" + "\n".join(wrong)


@pytest.mark.parametrize(
    ("dotted", "refused"),
    [
        ("plait.api.fit", False), ("plait.api", False), ("plait.settings.read_settings", False), ("typer", False),
        ("plait.index.open_index", False), ("plait.data.catalog.datasets.fetch_dataset", False),
        ("plait.api.run", True), ("plait.api.run.run_fit", True), ("plait.index.hit.hits_of", True),
        ("plait.weights.fetch", True), ("plait.data.table", True), ("plait", True), ("plait.fit", True),
    ],
)  # fmt: skip
def test_reader_of_the_command_line_sees_planted_faults(dotted: str, refused: bool) -> None:
    assert reaches_past_the_doors(dotted) is refused


def test_arrow_reader_sees_a_planted_fault() -> None:
    """The reader itself: relative, nested and aliased imports are resolved."""
    path = SRC / "data" / "planted.py"
    source = "from ..api import fit\ndef f():\n    from . import table\n    import plait.training.trainer as t\n"
    found = [dotted for node in ast.walk(ast.parse(source)) for dotted in imported(path, node)]
    assert sorted(found) == ["plait.api.fit", "plait.data.table", "plait.training.trainer"]


def test_light_rooms_never_import_torch() -> None:
    heavy = {"torch", "torchvision", "transformers", "timm", "accelerate", "peft"}
    wrong = [
        f"{name(path)}:{line} imports {dotted}"
        for path in modules()
        if room(path) in WITHOUT_TORCH
        for line, dotted in all_imports(path)
        if dotted.split(".")[0] in heavy
    ]
    assert not wrong, "\n".join(wrong)


def test_only_train_knows_the_trainer() -> None:
    trainer = re.compile(r"^transformers\.(trainer\w*\.)?(Trainer\w*|TrainingArguments)$")
    wrong = [
        f"{name(path)}:{line} imports {dotted}"
        for path in modules()
        if name(path) != "training/trainer.py"
        for line, dotted in all_imports(path)
        if trainer.match(dotted)
    ]
    assert not wrong, "\n".join(wrong)


def test_no_file_above_400_lines() -> None:
    files = [*modules(), *(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
    sizes = {path.relative_to(ROOT).as_posix(): len(path.read_text("utf-8").splitlines()) for path in files}
    long = {file: lines for file, lines in sizes.items() if lines > 400}
    assert not long, f"split these: {long}"


def test_no_drawer_files() -> None:
    paths = [path for path in SRC.rglob("*") if path.suffix == ".py" or path.is_dir()]
    wrong = [name(path) for path in paths if set(path.stem.lower().split("_")) & FORBIDDEN_WORDS]
    assert not wrong, f"name these by what they hold: {wrong}"


def test_every_file_opens_with_a_paragraph() -> None:
    wrong = [name(path) for path in modules() if not (ast.get_docstring(tree(path)) or "").strip()]
    assert not wrong, f"files without an opening docstring: {wrong}"


def test_public_functions_and_classes_have_docstrings() -> None:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    wrong = [
        f"{name(path)}:{node.lineno} {node.name}"
        for path in modules()
        for node in tree(path).body
        if isinstance(node, kinds) and not node.name.startswith("_") and not ast.get_docstring(node)
    ]
    assert not wrong, "public names without a docstring:\n" + "\n".join(wrong)


def test_postponed_annotations_everywhere() -> None:
    wrong = []
    for path in modules():
        body = [node for node in tree(path).body if not isinstance(node, ast.Expr)]
        if body and "__future__.annotations" not in set(imported(path, body[0])):
            wrong.append(name(path))
    assert not wrong, f"files without `from __future__ import annotations`: {wrong}"


def extras() -> dict[str, list[str]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    found: dict[str, list[str]] = project["optional-dependencies"]
    return found


def test_extras_named_in_messages_exist() -> None:
    files = [*modules(), *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    wrong = [
        f"{path.relative_to(ROOT)}: plait[{extra.strip()}]"
        for path in files
        for group in EXTRA_NAMED.findall(path.read_text("utf-8"))
        for extra in group.split(",")
        if extra.strip() not in extras()
    ]
    assert not wrong, f"extras that pyproject.toml lacks: {wrong}"


def test_every_user_extra_is_used_and_in_all() -> None:
    """An extra that no line of code imports, ours or a documented recipe's, is a promise nobody keeps."""
    packages = {dotted.split(".")[0] for path in modules() for _, dotted in all_imports(path)}
    strings = " ".join(path.read_text("utf-8") for path in modules())
    recipes = " ".join(path.read_text("utf-8") for path in (ROOT / "docs").glob("*.md"))
    for extra in set(extras()) - {"all", "dev"}:
        assert any(extra in entry for entry in extras()["all"]), f"extra {extra!r} is missing in 'all'"
        named = extra in packages or f"plait[{extra}]" in strings
        named = named or (f"plait[{extra}]" in recipes and f"\nimport {extra}\n" in recipes)
        assert named, f"extra {extra!r} is used nowhere in src/plait and in no recipe of docs"


def readme_tree(path: Path) -> dict[str, str]:
    """The lines of the tree in a README: entry -> what it is said to hold."""
    block = re.search(r"```(?:text)?\nsrc/plait/\n(.*?)```", path.read_text("utf-8"), flags=re.DOTALL)
    assert block, f"{path.name} has no code block that begins with src/plait/"
    lines = [line.strip() for line in block.group(1).splitlines() if line.strip()]
    return {line.split()[0]: line.partition(" ")[2].strip() for line in lines}


@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
def test_readme_tree_is_true(readme: str) -> None:
    told = readme_tree(ROOT / readme)
    there = {path.name for path in SRC.glob("*.py")}
    there |= {f"{path.name}/" for path in SRC.iterdir() if path.is_dir() and any(path.rglob("*.py"))}
    assert not there - set(told), f"{readme} does not name {sorted(there - set(told))}"
    assert not set(told) - there, f"{readme} names what is not there: {sorted(set(told) - there)}"
    assert all(told.values()), f"{readme}: an entry without a description"


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONWARNINGS": "error"}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)


HEAVY = "{'torch', 'torchvision', 'transformers', 'timm', 'sklearn', 'pandas'} & set(sys.modules)"


def test_help_leaves_torch_out() -> None:
    done = run_python(
        "import sys\n"
        "sys.argv = ['plait', '--help']\n"
        "from plait.cli import main\n"
        "code = 0\n"
        "try:\n    main()\n"
        "except SystemExit as stop:\n    code = stop.code or 0\n"
        f"heavy = {HEAVY}\n"
        "sys.exit(code if code else f'plait --help imported {sorted(heavy)}' if heavy else 0)\n"
    )
    assert done.returncode == 0, done.stderr
    assert "fit" in done.stdout and "evaluate" in done.stdout


def test_import_plait_is_light() -> None:
    done = run_python(f"import sys, plait\nheavy = {HEAVY}\nsys.exit(str(sorted(heavy)) if heavy else 0)")
    assert done.returncode == 0, f"import plait brought in {done.stderr}"


def test_searching_needs_no_trainer() -> None:
    """A search starts in seconds: what only training needs is imported when something is trained."""
    heavy = "{'plait.training.trainer', 'plait.api.run', 'sklearn', 'pandas', 'matplotlib'} & set(sys.modules)"
    done = run_python(
        "import warnings; warnings.simplefilter('ignore')\n"
        "import sys, plait.index\nfrom plait.api import Plait\n"
        f"heavy = {heavy}\nsys.exit(str(sorted(heavy)) if heavy else 0)"
    )
    assert done.returncode == 0, f"import plait.index and plait.api brought in {done.stderr}"


def keyword(call: ast.Call, word: str) -> object:
    for item in call.keywords:
        if item.arg == word and isinstance(item.value, ast.Constant):
            return item.value.value
    return None


def unsafe(path: Path) -> Iterator[str]:
    """What could run a stranger's code: unpickling, remote code, eval."""
    for line, dotted in all_imports(path):
        if dotted.split(".")[0] in PICKLES:
            yield f"{name(path)}:{line} imports {dotted}"
    for node in ast.walk(tree(path)):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        if called == "torch.load" and keyword(node, "weights_only") is not True:
            yield f"{name(path)}:{node.lineno} torch.load without weights_only=True"
        if keyword(node, "allow_pickle") is True:
            yield f"{name(path)}:{node.lineno} allow_pickle=True"
        if keyword(node, "trust_remote_code") is True:
            yield f"{name(path)}:{node.lineno} trust_remote_code=True"
        if called in {"eval", "exec", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "os.system"}:
            yield f"{name(path)}:{node.lineno} {called}"
        if keyword(node, "shell") is True:
            yield f"{name(path)}:{node.lineno} shell=True"


def test_nothing_is_unpickled_and_no_remote_code_runs() -> None:
    wrong = [fault for path in modules() for fault in unsafe(path)]
    assert not wrong, "\n".join(wrong)


def test_no_bare_except() -> None:
    wrong = [
        f"{name(path)}:{node.lineno}"
        for path in modules()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ExceptHandler) and node.type is None
    ]
    assert not wrong, f"bare except: {wrong}"


def tracked_files() -> list[Path]:
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode == 0 and listing.stdout:
        return [ROOT / line for line in listing.stdout.splitlines()]
    skipped = {".venv", "build", "dist", "demo", ".git"}  # no git here: an unpacked source archive
    return [p for p in ROOT.rglob("*") if p.is_file() and not skipped & set(p.relative_to(ROOT).parts)]


def test_no_address_of_a_package_registry() -> None:
    """A company mirror must be enough: which index answers is the user's setting, never ours."""
    wrong = []
    for path in tracked_files():
        if not path.is_file():
            continue
        text = path.read_bytes().decode("utf-8", errors="ignore")
        wrong += [f"{path.relative_to(ROOT)}: {hit.group()}" for hit in REGISTRY_ADDRESS.finditer(text)]
    assert not wrong, "\n".join(wrong)


def test_constraints_are_exact_and_cover_the_core() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and line[0] != "#"]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][A-Za-z0-9.]*", line) for line in lines)
    pinned = {re.sub(r"[-_.]+", "-", line.split("==")[0]).lower() for line in lines}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = project["dependencies"] + [e for entries in extras().values() for e in entries]
    bare = [re.split(r"[\[><=!~ ;]", entry)[0] for entry in wanted]
    names = {re.sub(r"[-_.]+", "-", word).lower() for word in bare} - {"plait"}
    assert not names - pinned, f"constraints.txt lacks {sorted(names - pinned)}"
