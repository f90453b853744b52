"""What the packages import is what pyproject.toml declares."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Triton gives it to its Python backends; it is on no index.
NOT_PACKAGED = {"triton_python_backend_utils"}


def imported() -> Iterator[tuple[str, Path]]:
    """Yield each package that is imported at any place, and the module that does so."""
    for path in (
        path for name in ("gateway", "preprocess") for path in (ROOT / name).rglob("*.py")
    ):
        for node in ast.walk(ast.parse(path.read_bytes())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0
                names = [node.module or ""]
            yield from ((name, path.relative_to(ROOT)) for name in names)


def third_party() -> Iterator[tuple[str, Path]]:
    ours = {"gateway", "preprocess", *sys.stdlib_module_names, *NOT_PACKAGED}
    return ((name, path) for name, path in imported() if name.partition(".")[0] not in ours)


def declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    stated = chain(project["dependencies"], *project["optional-dependencies"].values())
    return {re.split(r"[^A-Za-z0-9._-]", requirement)[0] for requirement in stated}


def test_imports_are_declared_and_what_is_declared_is_imported():
    distributions = packages_distributions()
    used: set[str] = set()
    undeclared = []
    for name, path in third_party():
        provided = {
            re.sub(r"[._]", "-", each.lower()) for each in distributions[name.partition(".")[0]]
        }
        used |= provided
        if not provided & declared():
            undeclared.append(f"{path}: {name}")
    assert undeclared == []
    assert declared() - used == set()


def test_no_private_module_of_a_library_is_imported():
    assert [
        f"{path}: {name}"
        for name, path in third_party()
        if any(part.startswith("_") for part in name.split("."))
    ] == []
