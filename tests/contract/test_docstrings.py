"""Docstrings begin with a verb or a noun, and nearly every public definition has one."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
QUESTION = re.compile(r"(What|Whether|Who|Whom|Whose|How|Where|When|Which|Why)\b")
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def documented(*folders: str) -> Iterator[tuple[str, Documented]]:
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, Documented):
                name = path.stem if isinstance(node, ast.Module) else node.name
                yield f"{path.relative_to(ROOT)}: {name}", node


def test_no_docstring_begins_with_a_question_word():
    found = documented("gateway", "preprocess", "bench", "tests/support")
    assert [at for at, node in found if QUESTION.match(ast.get_docstring(node) or "")] == []


def test_public_definitions_have_docstrings():
    public = [node for at, node in documented("gateway", "preprocess") if ": _" not in at]
    assert sum(ast.get_docstring(node) is not None for node in public) >= 0.96 * len(public)
