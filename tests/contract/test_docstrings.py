"""Docstrings, settings, commands and the API are worded so that they can be looked up."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from gateway.app.application import create_app
from gateway.settings import Settings

ROOT = Path(__file__).parents[2]
QUESTION = re.compile(r"(What|Whether|Who|Whom|Whose|How|Where|When|Which|Why)\b")
NOUN = re.compile(r"(The|An?|All|Both|Each|Every|One|Those|These|Its?|Nothing|Something|True)\b")
ACT = re.compile(
    r"(Adds|Answers|Asks|Brings|Checks|Closes|Collects|Delivers|Does|Draws|Ends|Fetches|Finds|"
    r"Follows|Gives|Has|Holds|Keeps|Knows|Lets|Logs|Makes|Opens|Proves|Puts|Refuses|Removes|"
    r"Restarts|Runs|Sends|Serves|Takes|Tells|Translates|Waits|Watches|Writes)\b"
)
# A line that explains a name: the first after it, one step further in.
EXPLANATION = re.compile(r"^\S.*\n {4}(\S.*)$", re.MULTILINE)
TOLD = {"description", "help", "summary", "short_help", "epilog"}
Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = ast.Module | ast.ClassDef | Function


class Definition(NamedTuple):
    """A module, class or function: its place, its kind, what it is called and described by."""

    at: str
    kind: type[ast.AST]
    name: str
    docstring: str
    decorators: str


@cache
def read(path: Path) -> tuple[list[Definition], list[tuple[str, str]]]:
    """Return a file's definitions, and the places and texts that describe something to people."""
    definitions, texts = [], []
    for node in ast.walk(ast.parse(path.read_text())):
        at = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, Documented):
            name = getattr(node, "name", path.name)
            decorators = " ".join(map(ast.unparse, getattr(node, "decorator_list", [])))
            docstring = ast.get_docstring(node) or ""
            definitions.append(Definition(at, type(node), name, docstring, decorators))
        elif isinstance(node, ast.keyword) and node.arg in TOLD:
            texts.append((at, ast.unparse(node.value).lstrip("(f'\"")))
    return definitions, texts


def files(*folders: str) -> Iterator[Path]:
    return (path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def documented(*folders: str) -> Iterator[Definition]:
    return (each for path in files(*folders) for each in read(path)[0])


def test_no_docstring_begins_with_a_question_word():
    found = documented("gateway", "preprocess", "bench", "tests/support")
    assert [each.at for each in found if QUESTION.match(each.docstring)] == []


def test_no_parameter_is_explained_by_a_question_word():
    asked = [
        f"{each.at}: {line}"
        for each in documented("gateway", "preprocess", "bench", "tests/support")
        for line in EXPLANATION.findall(each.docstring)
        if QUESTION.match(line)
    ]
    assert asked == []


def test_functions_docstring_begins_with_a_verb():
    nouns = [
        each.at
        for each in documented("gateway", "preprocess")
        if issubclass(each.kind, Function)
        and "property" not in each.decorators
        # The command's is its help, which names the product.
        and (each.at.split(":")[0], each.name) != ("gateway/cli/main.py", "main")
        and NOUN.match(each.docstring)
    ]
    assert nouns == []


def test_class_docstring_begins_with_a_noun():
    acts = [
        each.at
        for each in documented("gateway", "preprocess")
        if each.kind is ast.ClassDef and ACT.match(each.docstring)
    ]
    assert acts == []


def test_no_setting_option_or_field_is_described_by_a_question_word():
    asked = [
        at
        for path in files("gateway", "preprocess", "bench")
        for at, text in read(path)[1]
        if QUESTION.match(text)
    ]
    assert asked == []


def test_api_names_its_operations_by_no_question():
    paths = create_app(Settings()).openapi()["paths"]
    operations = [operation for methods in paths.values() for operation in methods.values()]
    assert len(operations) > 10
    said = [operation[key] for operation in operations for key in ("summary", "description")]
    assert [text for text in said if QUESTION.match(text) or "?" in text] == []


def test_public_definitions_have_docstrings():
    public = [each for each in documented("gateway", "preprocess") if not each.name.startswith("_")]
    assert sum(bool(each.docstring) for each in public) >= 0.96 * len(public)
