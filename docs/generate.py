"""Writes what the documentation takes from the code: `python docs/generate.py` (`make docs`).

Text between `<!-- generated: NAME -->` and `<!-- end -->` follows from the settings, the metrics,
the command, the keys of the store and the tables of DICOM; in docs/problems.md the line below each
heading follows from the kinds of problems. All else is written by hand and kept, as are the last
cells of metrics and attributes.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from prometheus_client import CollectorRegistry
from pydantic import BaseModel
from pydicom.datadict import dictionary_description
from pydicom.tag import Tag
from pydicom.uid import UID, Comprehensive3DSRStorage, SecondaryCaptureImageStorage

from gateway.app.application import create_app
from gateway.cli.main import main
from gateway.dimse.associate_request import Rejection
from gateway.dimse.commitment_messages import ActionStatus, CommitmentFailure
from gateway.dimse.data_sets import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from gateway.dimse.listener import ERROR_COMMENTS
from gateway.dimse.sop_classes import (
    STILL_IMAGES,
    STORAGE_COMMITMENT,
    TRANSFER_SYNTAXES,
    VERIFICATION,
)
from gateway.observability.metrics import Metrics
from gateway.problems import all_kinds
from gateway.renderings.heat_maps import HEAT_MAP_MODALITY, HEAT_MAP_SERIES_NUMBER
from gateway.renderings.revisions import REPORT_MODALITY, REPORT_SERIES_NUMBER
from gateway.schemas.routing import routing_schema
from gateway.settings import DELIMITER, PREFIX, Settings
from gateway.storage.layout import PLACES, RESULTS
from gateway.studies.dicom_instance import FailureReason
from preprocess import image, metadata, presentation
from preprocess.character_sets import defined_terms

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from enum import IntEnum

    from pydantic.fields import FieldInfo

DOCS = Path(__file__).parent
_BLOCK = re.compile(r"(<!-- generated: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
_PROBLEM = re.compile(r"^(### `([a-z-]+)`\n\n)Status .*$", re.MULTILINE)
_WIDTH = 96


def pages() -> dict[str, str]:
    """Each page that has generated text, as it should be, by its file's name."""
    metrics = (DOCS / "metrics.md").read_text()
    return {
        "settings.md": _filled("settings.md", _settings()),
        "metrics.md": _filled("metrics.md", {"metrics": _metrics(metrics)}),
        "cli.md": _filled("cli.md", {"commands": "\n\n".join(_commands("radstream", main))}),
        "backup.md": _filled("backup.md", {"layout": _layout()}),
        "conformance.md": _filled("conformance.md", _conformance()),
        "schemas/routing-1.json": json.dumps(routing_schema(), indent=2) + "\n",
        "problems.md": _problems((DOCS / "problems.md").read_text()),
    }


def _filled(page: str, blocks: dict[str, str]) -> str:
    """The page with its blocks as given, of which it has each once."""
    text = (DOCS / page).read_text()
    found = [name for _, name, _ in _BLOCK.findall(text)]
    if sorted(found) != sorted(blocks):
        raise ValueError(f"{page} needs one block each for {sorted(set(blocks) ^ set(found))}")
    return _BLOCK.sub(lambda block: f"{block[1]}{blocks[block[2]]}\n{block[3]}", text)


def _table(*rows: tuple[str, ...]) -> str:
    head, *body = rows
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *body))


def _settings() -> dict[str, str]:
    """A table for each group of settings."""
    tables = {}
    for group_name, group_field in Settings.model_fields.items():
        group = group_field.annotation
        if not (isinstance(group, type) and issubclass(group, BaseModel)):
            raise TypeError(f"{group_name} is not a group of settings")
        schemas = group.model_json_schema()["properties"]
        tables[group_name] = _table(
            ("variable", "value", "default", "description"),
            *(
                (
                    f"`{PREFIX}{group_name}{DELIMITER}{name}`".upper(),
                    _value(schemas[name]),
                    _default(field),
                    field.description or "",
                )
                for name, field in group.model_fields.items()
            ),
        )
    return tables


def _value(schema: dict[str, Any]) -> str:
    """The values a setting takes, in words."""
    schema = next((each for each in schema.get("anyOf", ()) if each["type"] != "null"), schema)
    if "enum" in schema:
        return " or ".join(f"`{each}`" for each in schema["enum"])
    kind = {"array": "JSON array", "boolean": "`true` or `false`", "string": "text"}
    named = {"path": "path", "password": "secret"}.get(schema.get("format", ""))
    words = named or kind.get(schema["type"]) or schema["type"]
    if "exclusiveMinimum" in schema:
        words += f" above {schema['exclusiveMinimum']:g}"
        to = ", at most "
    else:
        words += f" from {schema['minimum']}" if "minimum" in schema else ""
        to = " to "
    return words + (f"{to}{schema['maximum']:.10g}" if "maximum" in schema else "")


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "by machine"
    if field.default is None:
        return "unset"
    if field.default in ("", ()):
        return "empty"
    if isinstance(field.default, bool):
        return f"`{field.default}`".lower()
    return f"`{field.default}`"


def _metrics(page: str) -> str:
    """The table of metrics, with the last cells of the page's own."""
    advice = dict(re.findall(r"^\| `(\w+)` \|.*\| (.+) \|$", page, re.MULTILINE))
    rows = []
    for collector in Metrics(CollectorRegistry()):
        [family] = collector.describe()
        is_info = family.type == "info"
        name = family.name + {"counter": "_total", "info": "_info"}.get(family.type, "")
        labels = ["version"] if is_info else list(collector._labelnames)
        rows.append(
            (
                f"`{name}`",
                "gauge" if is_info else family.type,
                " ".join(f"`{label}`" for label in labels) or "none",
                family.documentation,
                advice.get(name, ""),
            )
        )
    return _table(("metric", "type", "labels", "description", "what to do"), *rows)


def _layout() -> str:
    """The table of what lies under which keys."""
    return _table(
        ("keys", "bucket", "what", "written by", "when it goes"),
        *(
            (
                f"`{place.prefix}{'{study_id}/' if place.prefix == RESULTS else ''}`",
                place.bucket,
                place.holds,
                f"`gateway.{place.writer}`" if place.writer else "senders",
                place.until,
            )
            for place in PLACES
        ),
    )


def _conformance() -> dict[str, str]:
    """The tables of the DICOM Conformance Statement."""
    page = (DOCS / "conformance.md").read_text()
    return {
        "sop-classes": _uids(
            "SOP Class", _by_name(VERIFICATION, STORAGE_COMMITMENT, *STILL_IMAGES)
        ),
        "transfer-syntaxes": _uids("Transfer Syntax", TRANSFER_SYNTAXES),
        "implementation": _table(
            ("item", "value"),
            ("Implementation Class UID", f"`{IMPLEMENTATION_CLASS_UID}`"),
            ("Implementation Version Name", f"`{IMPLEMENTATION_VERSION_NAME}`"),
            ("Application Context Name", "`1.2.840.10008.3.1.1.1`"),
        ),
        "rejections": _table(
            ("reason", "result", "source", "reason/diag."),
            *(
                (_words(rejection.name), *(str(number) for number in rejection.value))
                for rejection in Rejection
            ),
        ),
        "store-statuses": _table(
            ("status", "name", "Error Comment (0000,0902)"),
            ("0000", "Success", "none"),
            *((f"{each:04X}", _words(each.name), ERROR_COMMENTS[each]) for each in FailureReason),
        ),
        "action-statuses": _statuses(ActionStatus),
        "commitment-failures": _statuses(CommitmentFailure),
        "stow-statuses": _statuses(FailureReason),
        "dicomweb-routes": _dicomweb_routes(),
        "result-objects": _table(
            ("result", "SOP Class", "UID", "Modality", "Series Number"),
            *(
                (name, uid.name, f"`{uid}`", modality, str(number))
                for name, uid, modality, number in (
                    ("Report", Comprehensive3DSRStorage, REPORT_MODALITY, REPORT_SERIES_NUMBER),
                    (
                        *("Heat map", SecondaryCaptureImageStorage),
                        *(HEAT_MAP_MODALITY, HEAT_MAP_SERIES_NUMBER),
                    ),
                )
            ),
        ),
        "dimse": _settings()["dimse"],
        "character-sets": ", ".join(f"`{term}`" for term in defined_terms()) + ".",
        "attributes": _attributes(page),
    }


def _uids(kind: str, uids: Iterable[str]) -> str:
    return _table((kind, "UID"), *((UID(uid).name, f"`{uid}`") for uid in uids))


def _by_name(*uids: str) -> list[str]:
    return sorted(uids, key=lambda uid: UID(uid).name)


def _statuses(statuses: type[IntEnum]) -> str:
    return _table(("code", "name"), *((f"{each:04X}", _words(each.name)) for each in statuses))


def _words(constant: str) -> str:
    return constant.replace("_", " ").capitalize().replace("Ae title", "AE title")


def _dicomweb_routes() -> str:
    """The table of DICOMweb's operations, by the routes that serve them."""
    app = create_app(Settings())
    paths = app.openapi()["paths"]
    return _table(
        ("operation", "method and path", "statuses"),
        *(
            (
                operation["summary"],
                f"`{method.upper()} {path}`",
                ", ".join(sorted(operation["responses"])),
            )
            for path, operations in paths.items()
            if path.startswith("/dicomweb/")
            for method, operation in operations.items()
        ),
    )


def _attributes(page: str) -> str:
    """The table of attributes that are read, with the last cells of the page's own."""
    use = dict(re.findall(r"^\| \(\w{4},\w{4}\) \| .*\| `(\w+)` \| (.+) \|$", page, re.MULTILINE))
    keywords = {*metadata.KEYWORDS, *image.KEYWORDS, *presentation.KEYWORDS}
    rows = []
    for tag, keyword in sorted((Tag(keyword), keyword) for keyword in keywords):
        name = dictionary_description(tag)
        rows.append(
            (f"({tag.group:04X},{tag.element:04X})", name, f"`{keyword}`", use.get(keyword, ""))
        )
    return _table(("tag", "attribute", "keyword", "use"), *rows)


def _problems(page: str) -> str:
    """The page with each problem's status and title as they are."""
    kinds = {kind.name: kind for kind in all_kinds()}
    found = [name for _, name in _PROBLEM.findall(page)]
    if sorted(found) != sorted(kinds):
        raise ValueError(f"problems.md needs one section each for {set(found) ^ set(kinds)}")
    return _PROBLEM.sub(
        lambda head: f"{head[1]}Status {kinds[head[2]].status}: {kinds[head[2]].title}.", page
    )


def _commands(
    name: str, command: click.Command, parent: click.Context | None = None
) -> Iterator[str]:
    """The help of a command and of its own commands, a section each."""
    context = click.Context(
        command, parent, info_name=name, terminal_width=_WIDTH, **command.context_settings
    )
    yield f"## `{context.command_path}`\n\n```text\n{command.get_help(context)}\n```"
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            if found := command.get_command(context, each):
                yield from _commands(each, found, context)


if __name__ == "__main__":
    for page, text in pages().items():
        (DOCS / page).write_text(text)
