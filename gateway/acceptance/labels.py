"""A site's labelled studies: a folder, and a CSV of what each of them shows."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gateway.acceptance.attributes import ATTRIBUTES
from gateway.runtime.file_digests import files_sha256

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

_STUDY = "study"
_TRUTHS = {"1": True, "0": False, "true": True, "false": False, "yes": True, "no": False}


class LabelsError(Exception):
    """Faults of the file of labels, a line each."""


@dataclass(frozen=True, slots=True)
class LabelledStudy:
    """A study of the site.

    Parameters
    ----------
    name
        Its file or folder, as the list names it.
    files
        Its images, in order.
    truth
        True where it has the finding, by label; labels that are not known are left out.
    attributes
        Attributes that the list states, by name.
    """

    name: str
    files: tuple[Path, ...]
    truth: Mapping[str, bool]
    attributes: Mapping[str, str]


def read_labels(folder: Path, file: Path, known: Collection[str]) -> list[LabelledStudy]:
    """Return the studies of a list.

    Parameters
    ----------
    folder
        Has the studies' files, or a folder of files for each.
    file
        CSV with a column `study` (way of a file or a folder from the folder), one for each label
        (1, 0, or empty where it is not known) and, where the images do not tell them, `sex`, `age`,
        `view`, `device` and `sender`.
    known
        Labels of the model.

    Raises
    ------
    LabelsError
        With every fault.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            return _studies(folder, csv.DictReader(lines), known)
    except (UnicodeDecodeError, csv.Error) as error:
        raise LabelsError(f"it is no CSV in UTF-8: {error}") from error


def _studies(
    folder: Path, reader: csv.DictReader[str], known: Collection[str]
) -> list[LabelledStudy]:
    columns = list(reader.fieldnames or ())
    labels = [name for name in columns if name not in {_STUDY, *ATTRIBUTES}]
    faults = list(_column_faults(columns, labels, known))
    if faults:
        raise LabelsError("\n".join(faults))
    studies: dict[Path, LabelledStudy] = {}
    for row in reader:
        try:
            path = _path(folder, (row[_STUDY] or "").strip(), studies)
            studies[path] = _study(path, row, labels)
        except LabelsError as error:
            faults.append(f"line {reader.line_num}: {error}")
    if not studies and not faults:
        faults.append("there is no study")
    if faults:
        raise LabelsError("\n".join(faults))
    return list(studies.values())


def data_sha256(studies: Sequence[LabelledStudy], folder: Path) -> str:
    """Return the SHA-256 over a line for each file of the studies: its SHA-256 and its name."""
    return files_sha256((path for study in studies for path in study.files), folder.resolve())


def _column_faults(
    columns: Sequence[str], labels: Sequence[str], known: Collection[str]
) -> Iterator[str]:
    if _STUDY not in columns:
        yield "there is no column 'study'"
    if not labels:
        yield f"there is no column for a label: the model has {', '.join(sorted(known))}"
    for name in labels:
        if name not in known:
            yield f"column '{name}' is no label of the model: {', '.join(sorted(known))}"
    for name in dict.fromkeys(columns):
        if columns.count(name) > 1:
            yield f"column '{name}' stands twice"


def _path(folder: Path, name: str, taken: Collection[Path]) -> Path:
    root = folder.resolve()
    path = (root / name).resolve()
    if not name or not path.is_relative_to(root) or path == root:
        raise LabelsError("'study' names no file or folder within the folder")
    if not path.exists():
        raise LabelsError(f"there is no {name}")
    if path in taken:
        raise LabelsError(f"{name} stands twice")
    return path


def _study(path: Path, row: Mapping[str, Any], labels: Sequence[str]) -> LabelledStudy:
    name = row[_STUDY].strip()
    files = (path,) if path.is_file() else tuple(_images(path))
    if not files:
        raise LabelsError(f"{name} has no files")
    truth = {}
    for label in labels:
        text = (row[label] or "").strip().lower()
        if text and text not in _TRUTHS:
            raise LabelsError(f"'{label}' is {text}, and neither 1, 0 nor empty")
        if text:
            truth[label] = _TRUTHS[text]
    stated = {each: (row.get(each) or "").strip() for each in ATTRIBUTES}
    return LabelledStudy(name, files, truth, {k: v for k, v in stated.items() if v})


def _images(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix.lower() != ".json" and not path.name.startswith("."):
            yield path
