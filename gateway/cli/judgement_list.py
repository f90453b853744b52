"""CSV of judgements on studies, as a report system exports it."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from gateway.schemas.feedback import Judgement, Source
from gateway.schemas.metadata import is_study_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

# Each of them names the study.
_IDENTIFIERS = ("study_id", "study_instance_uid", "accession_number")
_NEEDED = ("label", "judgement")
_KNOWN = {*_IDENTIFIERS, *_NEEDED, "author", "source", "model"}
# Where the comma is the decimal point, spreadsheets part by semicolons.
_DELIMITERS = ",;\t"


class JudgementListError(Exception):
    """Fault of the whole file."""


class LineError(Exception):
    """Fault of a line, for which it is left out."""


@dataclass(frozen=True, slots=True)
class ListedJudgement:
    """A line of the list.

    Parameters
    ----------
    number
        The line's, the headings being 1.
    identifiers
        Identifiers of the study by column: the study_id alone, or else all that are stated.
    document
        The judgement, as the gateway takes it.
    fault
        Reason why there are neither; None where there are.
    """

    number: int
    identifiers: Mapping[str, str]
    document: Mapping[str, Any]
    fault: str | None = None


def listed_judgements(file: Path) -> Iterator[ListedJudgement]:
    """Yield the lines of a CSV in UTF-8, but empty ones.

    A line is read by itself: a quotation mark that is not closed costs no other.

    Parameters
    ----------
    file
        Has headings in the first line, in any case, with spaces or underscores; its columns are
        parted by comma, semicolon or tabulator.

    Raises
    ------
    JudgementListError
        It is no such file.
    """
    try:
        headings, *lines = file.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise JudgementListError(f"is no CSV in UTF-8: {error}") from error
    delimiter = max(_DELIMITERS, key=headings.count)
    try:
        named = _cells(headings, delimiter)
    except csv.Error as error:
        raise JudgementListError(f"has headings that are no CSV: {error}") from error
    columns = [name.lower().replace(" ", "_") for name in named]
    while columns and not columns[-1]:
        columns.pop()
    _check(columns)
    for number, line in enumerate(lines, 2):
        if line.strip(delimiter + " "):
            yield _judgement(number, line, columns, delimiter)


def _judgement(number: int, line: str, columns: list[str], delimiter: str) -> ListedJudgement:
    try:
        values = _values(line, columns, delimiter)
        return ListedJudgement(number, _identifiers(values), _document(values))
    except LineError as error:
        return ListedJudgement(number, {}, {}, str(error))


def _values(line: str, columns: list[str], delimiter: str) -> dict[str, str]:
    try:
        cells = _cells(line, delimiter)
    except csv.Error as error:
        raise LineError(f"it is no line of a CSV: {error}") from error
    if any(cells[len(columns) :]):  # as of a name with a comma and no quotation marks
        raise LineError(f"it has more than {len(columns)} columns")
    return dict(zip_longest(columns, cells[: len(columns)], fillvalue=""))


def _identifiers(values: Mapping[str, str]) -> dict[str, str]:
    stated = {name: values[name] for name in _IDENTIFIERS if values.get(name)}
    if not stated:
        raise LineError(f"there is no {_either(_IDENTIFIERS)}")
    if "study_id" not in stated:
        return stated
    # It becomes part of a path: a file from elsewhere must not choose another route.
    if not is_study_id(stated["study_id"]):
        raise LineError("the study_id has characters that none has")
    return {"study_id": stated["study_id"]}


def _document(values: Mapping[str, str]) -> dict[str, Any]:
    judgement = values["judgement"].lower()
    if judgement not in set(Judgement):
        raise LineError(f"the judgement is none of {', '.join(Judgement)}")
    source = values.get("source", "").lower() or Source.REPORT
    document: dict[str, Any] = {
        "label": values["label"],
        "judgement": judgement,
        "source": source,
    }
    if author := values.get("author"):
        document["author"] = author
    if model := values.get("model"):
        name, _, version = model.partition(":")
        document["model"] = {"name": name} | ({"version": version} if version else {})
    return document


def _cells(line: str, delimiter: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, strict=True))]


def _check(columns: list[str]) -> None:
    if not {*columns} >= {*_NEEDED} or not {*columns} & {*_IDENTIFIERS}:
        needed = ", ".join((_either(_IDENTIFIERS), *_NEEDED))
        raise JudgementListError(f"needs the columns {needed}, named in its first line")
    if unknown := {*columns} - _KNOWN:
        raise JudgementListError(f"has columns that are not known: {', '.join(sorted(unknown))}")
    if twice := {name for name in columns if columns.count(name) > 1}:
        raise JudgementListError(f"has columns that stand twice: {', '.join(sorted(twice))}")


def _either(names: tuple[str, ...]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}"
