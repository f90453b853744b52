"""Docstrings, settings, commands and the API are worded so that they can be looked up."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

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


def nodes(*folders: str) -> Iterator[tuple[str, ast.AST]]:
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            yield f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}", node


def documented(*folders: str) -> Iterator[tuple[str, Documented]]:
    return ((at, node) for at, node in nodes(*folders) if isinstance(node, Documented))


def test_no_docstring_begins_with_a_question_word():
    found = documented("gateway", "preprocess", "bench", "tests/support")
    assert [at for at, node in found if QUESTION.match(ast.get_docstring(node) or "")] == []


def test_no_parameter_is_explained_by_a_question_word():
    asked = [
        f"{at}: {line}"
        for at, node in documented("gateway", "preprocess", "bench", "tests/support")
        for line in EXPLANATION.findall(ast.get_docstring(node) or "")
        if QUESTION.match(line)
    ]
    assert asked == []


def test_functions_docstring_begins_with_a_verb():
    nouns = [
        at
        for at, node in documented("gateway", "preprocess")
        if isinstance(node, Function)
        and not any("property" in ast.unparse(decorator) for decorator in node.decorator_list)
        # The command's is its help, which names the product.
        and (at.split(":")[0], node.name) != ("gateway/cli/main.py", "main")
        and NOUN.match(ast.get_docstring(node) or "")
    ]
    assert nouns == []


def test_class_docstring_begins_with_a_noun():
    acts = [
        at
        for at, node in documented("gateway", "preprocess")
        if isinstance(node, ast.ClassDef) and ACT.match(ast.get_docstring(node) or "")
    ]
    assert acts == []


def test_no_setting_option_or_field_is_described_by_a_question_word():
    asked = [
        at
        for at, node in nodes("gateway", "preprocess", "bench")
        if isinstance(node, ast.keyword) and node.arg in TOLD
        for text in [ast.unparse(node.value).lstrip("(f'\"")]
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
    public = [
        node
        for at, node in documented("gateway", "preprocess")
        if not (Path(at).name if isinstance(node, ast.Module) else node.name).startswith("_")
    ]
    assert sum(ast.get_docstring(node) is not None for node in public) >= 0.96 * len(public)
