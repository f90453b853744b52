"""`radstream send`: files and folders to a gateway, several at once, with their findings."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import httpx

from gateway.cli.gateway_client import (
    api_key_option,
    gateway_client,
    problem_text,
    url_option,
)
from gateway.cli.json_output import json_option
from gateway.cli.progress import progress
from gateway.cli.studies import remarks, verdict
from gateway.errors import InvalidMetadataError
from gateway.schemas.metadata import parse_document
from gateway.studies.imaging import is_dicom
from gateway.studies.routed_files import files_in
from gateway.studies.sidecar_files import ENDING, sidecar_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Group = tuple[Path, ...]


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@url_option
@click.option("--study-id", help="Send all files as one study of this id; else each is its own.")
@click.option("--view", help="PA, AP, LATERAL, OBLIQUE or OTHER; of pictures AP if not given.")
@click.option(
    "--at-once",
    type=click.IntRange(1, 16),
    default=4,
    show_default=True,
    help="Studies on their way at once.",
)
@click.option(
    "--resume",
    "journal",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File that keeps what was sent; what it has already is left out.",
)
@json_option("each result whole, a line each")
@api_key_option
def send(
    *,
    files: Sequence[Path],
    url: str,
    study_id: str | None,
    view: str | None,
    at_once: int,
    journal: Path | None,
    api_key: str | None,
    as_json: bool,
) -> None:
    """Send radiographs, or all in folders, and print what was found.

    A sidecar beside a file (picture.json or picture.jpg.json) gives its metadata; a DICOM file
    brings its own. What was sent before is known by its bytes, and answered from the store.
    """
    found = tuple(_expanded(files))
    if not found:
        raise click.ClickException("there are no images in these folders")
    groups = [found] if study_id else [(file,) for file in found]
    sent = Journal(journal)
    groups = [group for group in groups if group not in sent]
    failed = 0
    with gateway_client(url, api_key) as client, progress("sent", len(groups)) as shown:

        def post(group: Group) -> httpx.Response:
            with _file_errors("read"):
                return _posted(client, group, _metadata(group[0], study_id, view))

        for group, response in _in_order(post, groups, at_once):
            answer = _answer(response)
            failed += not response.is_success
            if response.is_success:
                sent.add(group)
            told = json.dumps(answer) if as_json else _told(group, answer)
            shown.echo(told, err=response.is_error)
            shown.step()
    sys.exit(1 if failed else 0)


class Journal:
    """The files that were sent, in a file of lines; a file that changed since counts as another.

    Parameters
    ----------
    path
        None keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lines: set[str] = set()
        if path is not None:
            with _file_errors("written"), path.open("a+") as file:  # before anything is sent
                file.seek(0)
                self._lines = set(file.read().splitlines())

    def __contains__(self, group: Group) -> bool:
        return all(_line(file) in self._lines for file in group)

    def add(self, group: Group) -> None:
        """Keep the files of a study that was sent, before the next one."""
        if self._path is None:
            return
        with self._path.open("a") as file:
            file.writelines(f"{_line(each)}\n" for each in group)


@contextlib.contextmanager
def _file_errors(done: str) -> Iterator[None]:
    """End the command with a sentence where a file cannot be read, or written."""
    try:
        yield
    except OSError as error:
        raise click.ClickException(
            f"{error.filename} cannot be {done}: {error.strerror}"
        ) from error


def _line(file: Path) -> str:
    status = file.stat()
    return json.dumps([str(file.resolve()), status.st_size, status.st_mtime_ns])


def _expanded(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the files, and those below the folders but for documents and hidden ones."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        for file in files_in(path):
            if file.suffix.lower() != ENDING and not file.name.startswith("."):
                yield file


def _in_order(
    post: Any, groups: Sequence[Group], at_once: int
) -> Iterator[tuple[Group, httpx.Response]]:
    """Yield the answers in the order of the groups; the first error ends what has not begun."""
    executor = ThreadPoolExecutor(at_once, thread_name_prefix="send")
    try:
        yield from zip(groups, executor.map(post, groups), strict=True)
    finally:
        executor.shutdown(cancel_futures=True)


def _posted(client: httpx.Client, group: Group, metadata: dict[str, Any]) -> httpx.Response:
    try:
        return client.post(
            "/v1/studies",
            files=[
                ("metadata", (None, json.dumps(metadata), "application/json")),
                *[("image", (file.name, file.read_bytes())) for file in group],
            ],
        )
    except httpx.TransportError as error:
        raise click.ClickException(f"{client.base_url} does not answer: {error}") from error


def _metadata(file: Path, study_id: str | None, view: str | None) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    data = file.read_bytes()
    if not is_dicom(data):
        metadata = {
            "study_id": f"study-{hashlib.sha256(data).hexdigest()[:16]}",
            "view": "AP",
            "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
        }
    if view:
        metadata["view"] = view
    sidecar = None
    try:
        sidecar = sidecar_of(file)
        if sidecar is not None:
            metadata |= parse_document(sidecar.read_bytes())
    except InvalidMetadataError as error:
        [fault, *_] = error.faults
        named = f"{sidecar or file} {fault.pointer} {fault.detail}"
        raise click.ClickException(named) from error
    if study_id:
        metadata["study_id"] = study_id
    return metadata


def _answer(response: httpx.Response) -> dict[str, Any]:
    """Return the result or problem answered; whatever answers otherwise is no gateway."""
    with contextlib.suppress(ValueError):
        answer = response.json()
        if isinstance(answer, dict) and ("images" in answer or "title" in answer):
            return answer
    raise click.ClickException(
        f"{response.url} is no RadStream: its answer, of status {response.status_code}, is neither "
        "result nor problem"
    )


def _told(group: Sequence[Path], answer: dict[str, Any]) -> str:
    """Return the answer as text for a person, a line for each finding and each remark."""
    names = ", ".join(file.name for file in group)
    if "images" not in answer:
        return f"{names}: {problem_text(answer)}"
    lines = [f"{names}: study {answer['study_id']}"]
    for image in answer["images"]:
        for reading in image["readings"]:
            total = reading["timings_ms"]["total"]
            lines += [
                f"  image {image['number']}  {finding['label']:<20} {finding['probability']:.3f}"
                f"  {verdict(finding)}  {total:.0f} ms"
                for finding in reading["findings"]
            ]
    lines += [f"  {remark}" for remark in remarks(answer)]
    return "\n".join(lines)
