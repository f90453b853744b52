"""Tests mirror the modules: from a file's name follows the name of its tests."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What makes a function more than a name for an expression.
LOGIC = (
    *(ast.If, ast.IfExp, ast.BoolOp, ast.Match, ast.For, ast.AsyncFor, ast.While),
    *(ast.comprehension, ast.With, ast.AsyncWith, ast.Try, ast.Raise, ast.Await, ast.Yield),
)
WIRING = "puts together parts that have tests of their own, in every test with a gateway"
EXCEPTIONS = {
    "gateway/app/lifespan/deferred.py": WIRING,
    "gateway/app/lifespan/dimse.py": WIRING,
    "gateway/app/lifespan/dropfolder.py": WIRING,
    "gateway/app/lifespan/monitoring.py": WIRING,
    "gateway/app/lifespan/part.py": WIRING,
    "gateway/app/lifespan/processing.py": WIRING,
}


def modules() -> Iterator[Path]:
    for package in ("gateway", "preprocess"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if path.name != "__main__.py":
                yield path.relative_to(ROOT)


def mirror_of(module: Path) -> Path:
    """A package's own module is tested under the package's name."""
    name = module.parent.name if module.name == "__init__.py" else module.stem
    return Path("tests", module.parent, f"test_{name}.py")


def has_logic(source: str) -> bool:
    """Return True if a function of the module decides, repeats, waits or fails.

    Protocols have nothing to test, and neither have the declarations of an `__init__`.
    """
    tree = ast.parse(source)
    protocols = {
        method
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and "Protocol" in map(ast.unparse, node.bases)
        for method in node.body
    }
    functions = (
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name != "__init__"
        and node not in protocols
    )
    return any(
        isinstance(part, LOGIC)
        for function in functions
        for statement in function.body
        for part in ast.walk(statement)
    )


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("LIMIT = 3 if True else 4", False),
        ("def double(x): return 2 * x", False),
        ("def smaller(x, y): return x if x < y else y", True),
        ("class Store(Protocol):\n def keys(self): yield 1", False),
        ("class Counts:\n def __init__(self):\n  for x in (1, 2): self.add(x)", False),
        ("class Counts:\n async def add(self): await self.put()", True),
    ],
)
def test_logic_is_told_from_declarations(source: str, *, expected: bool):
    assert has_logic(source) is expected


def test_every_module_with_logic_has_tests_of_its_name():
    missing = [
        str(module)
        for module in modules()
        if not (ROOT / mirror_of(module)).exists()
        and str(module) not in EXCEPTIONS
        and has_logic((ROOT / module).read_text())
    ]
    assert missing == []


def test_exceptions_are_still_needed():
    for module in map(Path, EXCEPTIONS):
        assert has_logic((ROOT / module).read_text()), module
        assert not (ROOT / mirror_of(module)).exists(), module
