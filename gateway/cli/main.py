"""The `radstream` command."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import httpx

from gateway import __version__
from gateway.app.server import AddressUnavailableError, run, serve, serve_with_triton
from gateway.app.start_failures import StartError
from gateway.app.tls import CertificateError
from gateway.cli.accept import accept
from gateway.cli.banner import banner
from gateway.cli.completion import completion
from gateway.cli.deliveries import deliveries
from gateway.cli.doctor import doctor
from gateway.cli.environment import read_settings
from gateway.cli.feedback import feedback
from gateway.cli.gateway_client import api_key_option, gateway_client, url_option
from gateway.cli.health import health
from gateway.cli.keys import keys
from gateway.cli.models import models
from gateway.cli.parked import parked
from gateway.cli.probe import probe
from gateway.cli.report import report
from gateway.cli.rules import rules
from gateway.cli.studies import studies, study, verdict
from gateway.cli.verify import reindex_store, verify_store
from gateway.errors import InvalidMetadataError
from gateway.schemas.metadata import parse_document
from gateway.studies.imaging import is_dicom
from gateway.triton.embedded import EmbeddedTriton, SidecarError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.settings import Settings


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="radstream")
def main() -> None:
    """The gateway between the hospital and its radiology AI models.

    Settings are environment variables named RADSTREAM_<GROUP>__<NAME>; docs/settings.md has them.
    """


@main.command()
def up() -> None:
    """Run the gateway and a real Triton on this machine."""
    settings = read_settings()
    try:
        came_up = run(serve_with_triton(settings, _announce_all(settings)))
    except (SidecarError, CertificateError, AddressUnavailableError, StartError) as error:
        raise click.ClickException(str(error)) from error
    sys.exit(0 if came_up else 1)


@main.command("serve")
def serve_command() -> None:
    """Run the gateway alone, in front of a Triton that runs elsewhere."""
    settings = read_settings()
    try:
        came_up = run(serve(settings, lambda url: click.echo(f"RadStream listens on {url}")))
    except (CertificateError, AddressUnavailableError, StartError) as error:
        raise click.ClickException(str(error)) from error
    sys.exit(0 if came_up else 1)


@main.command()
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@url_option
@click.option("--study-id", help="Send all files as one study of this id; else each is its own.")
@click.option("--view", help="PA, AP, LATERAL, OBLIQUE or OTHER; of pictures AP if not given.")
@click.option("--json", "as_json", is_flag=True, help="Print each result whole, a line each.")
@api_key_option
def send(
    files: Sequence[Path],
    url: str,
    study_id: str | None,
    view: str | None,
    api_key: str | None,
    *,
    as_json: bool,
) -> None:
    """Send radiographs and print what was found.

    A sidecar beside a file (picture.json for picture.jpg) gives its metadata; a DICOM file brings
    its own.
    """
    groups = [list(files)] if study_id else [[file] for file in files]
    failed = 0
    with gateway_client(url, api_key) as client:
        for group in groups:
            metadata = _metadata(group[0], study_id, view)
            try:
                response = client.post(
                    "/v1/studies",
                    files=[
                        ("metadata", (None, json.dumps(metadata), "application/json")),
                        *[("image", (file.name, file.read_bytes())) for file in group],
                    ],
                )
            except httpx.TransportError as error:
                raise click.ClickException(f"{url} does not answer: {error}") from error
            answer = _answer(response)
            failed += not response.is_success
            click.echo(
                json.dumps(answer) if as_json else _told(group, answer), err=response.is_error
            )
    sys.exit(1 if failed else 0)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print each line as JSON.")
@click.option(
    "--reindex",
    is_flag=True,
    help="Make the search index anew of the studies' documents; nothing else is looked at.",
)
def verify(*, as_json: bool, reindex: bool) -> None:
    """Verify the store: documents, images and the references between them. Write nothing.

    Print a line for each finding, which may hold a study_id. End with status 1 if one is a fault,
    with 2 if the store does not answer.
    """
    if reindex:
        reindex_store(read_settings().store)
        return
    sys.exit(0 if verify_store(read_settings().store, as_json=as_json) else 1)


main.add_command(accept)
main.add_command(feedback)
main.add_command(parked)
main.add_command(deliveries)
main.add_command(models)
main.add_command(report)
main.add_command(probe)
main.add_command(doctor)
main.add_command(studies)
main.add_command(study)
main.add_command(completion)
main.add_command(health)
main.add_command(keys)
main.add_command(rules)


def _announce_all(settings: Settings) -> Callable[[str, EmbeddedTriton], None]:
    def announce(url: str, triton: EmbeddedTriton) -> None:
        click.echo(banner(settings, url, triton, program=sys.argv[0]))

    return announce


def _metadata(file: Path, study_id: str | None, view: str | None) -> dict[str, Any]:
    sidecar = file.with_suffix(".json")
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
    if sidecar.exists():
        try:
            metadata |= parse_document(sidecar.read_bytes())
        except InvalidMetadataError as error:
            [fault, *_] = error.faults
            raise click.ClickException(f"{sidecar} {fault.pointer} {fault.detail}") from error
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
    """Return the answer as text for a person, one line for each finding."""
    names = ", ".join(file.name for file in group)
    if "images" not in answer:
        lines = [f"{names}: {answer['title']}. {answer['detail']}"]
        lines += [f"  {fault['pointer']} {fault['detail']}" for fault in answer.get("errors", ())]
        return "\n".join(lines)
    lines = [f"{names}: study {answer['study_id']}"]
    for image in answer["images"]:
        for reading in image["readings"]:
            total = reading["timings_ms"]["total"]
            lines += [
                f"  image {image['number']}  {finding['label']:<20} {finding['probability']:.3f}"
                f"  {verdict(finding)}  {total:.0f} ms"
                for finding in reading["findings"]
            ]
    return "\n".join(lines)
