"""Starting stays quick: no file, of the library or of the tests, imports at its top what takes seconds; and no test is
skipped for want of what every installation has, or without saying what it wants.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent
PROJECT = TESTS.parent / "pyproject.toml"
LIBRARIES = {"datasets", "lancedb", "matplotlib", "pandas", "polars", "scipy", "sklearn", "timm", "torchvision"}
QUICK = ("plait.api.watching", "plait.api.installation")  # neither imports PyTorch, and tests name them at the top
DERIVED = "estimators"  # classes of scikit-learn's classes, which plait.api imports at their first use
SLOW = LIBRARIES | {"transformers", "plait.api", "plait.comparison", "plait.model", "plait.training"}


def test_slow_imports_of_tests_wait_for_their_first_use() -> None:
    assert list(imports_at_the_top(TESTS, SLOW)) == [], "import it inside the test, or name it through fixtures.lazy"


def test_slow_libraries_wait_for_the_function_that_needs_them() -> None:
    found = [one for one in imports_at_the_top(TESTS.parent / "src", LIBRARIES) if not one.startswith(f"{DERIVED}/")]
    assert found == [], "import it inside the function that needs it"


def test_skips_want_what_an_installation_may_lack_and_say_what() -> None:
    core = {re.split(r"[\[><=~ ]", d)[0] for d in tomllib.loads(PROJECT.read_text("utf-8"))["project"]["dependencies"]}
    core |= {"PIL", "sklearn", "yaml"}
    found = []
    for path in sorted(TESTS.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.importorskip":
                wanted = ast.literal_eval(node.args[0])
                if wanted.split(".")[0] in core or "reason" not in {k.arg for k in node.keywords}:
                    found.append(f"{path.name}:{node.lineno}: {wanted}")
    assert found == [], "import it as it is where every installation has it; else reason='extra NAME'"


def imports_at_the_top(folder: Path, slow: set[str]) -> Iterator[str]:
    for path in sorted(folder.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for module in modules:
                if slow & {module.split(".")[0], ".".join(module.split(".")[:2])} and not module.startswith(QUICK):
                    yield f"{path.parent.name}/{path.name}: {module}"
