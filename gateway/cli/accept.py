"""`radstream accept`: a site's own labelled studies on the way that serves, and the page of it."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import os
import secrets
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click
from pydantic import ValidationError

from gateway.acceptance.labels import LabelsError, data_sha256, read_labels
from gateway.acceptance.measure import difference, figures
from gateway.acceptance.page import page, told
from gateway.acceptance.signature import SignatureKeyError, is_valid, signature_file, signed
from gateway.cli.gateway_client import api_key_option, ask, gateway_client, url_option
from gateway.cli.json_output import json_option, tell
from gateway.cli.labelled_studies import NoAnswerError, outcomes
from gateway.cli.progress import progress
from gateway.runtime.file_digests import files_sha256
from gateway.schemas.acceptance import AcceptancePage, MeasuredVersion, NotRead
from gateway.settings import DELIMITER, PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import httpx

    from gateway.acceptance.labels import LabelledStudy
    from gateway.acceptance.measure import StudyOutcome
    from gateway.schemas.acceptance import Difference

_KEY = f"{PREFIX}ACCEPTANCE{DELIMITER}KEY_FILE"
_REASONS_TOLD = 3
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.argument("folder", type=_FOLDER, required=False)
@click.option("--labels", type=_FILE, help="CSV: a line for each study, a column for each label.")
@click.option("--model", metavar="NAME[:VERSION]", help="Model; needed where several are ready.")
@click.option(
    "--compare", metavar="VERSION", help="Another version of the model, on the same page."
)
@click.option(
    "--repository", type=_FOLDER, help="Model repository, to state the hash of the model's files."
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, writable=True, path_type=Path),
    default=Path(),
    help="Folder for the page; the current one if not given.",
)
@click.option("--approve", "approved", type=_FILE, help="Accept the version of this page (JSON).")
@click.option("--by", "person", help="Name of the person who accepts it.")
@click.option(
    "--reference",
    "is_reference",
    is_flag=True,
    help="With --approve: measure the version's drift from the page's readings, not from its first "
    "live ones.",
)
@click.option("--verify", "verified", type=_FILE, help="Check the signature of this page alone.")
@click.option(
    "--key-file",
    type=_FILE,
    envvar=_KEY,
    help=f"Ed25519 key in PEM that signs the page, or checks it; better set as {_KEY}.",
)
@url_option
@api_key_option
@json_option("the page with the names of its files, or what --approve or --verify found")
def accept(
    folder: Path | None,
    labels: Path | None,
    model: str | None,
    compare: str | None,
    repository: Path | None,
    *,
    out: Path,
    approved: Path | None,
    person: str | None,
    is_reference: bool,
    verified: Path | None,
    key_file: Path | None,
    url: str,
    api_key: str | None,
    as_json: bool,
) -> None:
    """Run a site's own labelled studies through the gateway, and write a page of it.

    With --approve, the version of a page is accepted under a person's name, which takes the scope
    operate; where the gateway requires acceptance, it reads studies from then on.

    FOLDER has DICOM files, pictures with sidecars, or a folder of these for each study. The gateway
    removes the studies after a quarter of an hour. The key needs the scopes studies:write and
    studies:read.
    """
    if verified is not None:
        _verify(verified, key_file, as_json=as_json)
        return
    if approved is not None:
        with gateway_client(url, api_key) as client:
            _approve(client, approved, person, is_reference=is_reference, as_json=as_json)
        return
    if folder is None or labels is None:
        raise click.UsageError("FOLDER and --labels are needed, or --verify, or --approve")
    _make(out)  # before the run that is to be told of there
    with gateway_client(url, api_key) as client:
        served = ask(client, "GET", "/v1/models").json()
        if "gateway" not in served:
            raise click.ClickException(
                f"{url} is a gateway of an older version, which does not tell the SHA-256 of its "
                "files; use the command of that version"
            )
        asked = _models(served["models"], model, compare)
        known = [each["label"] for each in asked[0]["contract"]["output"]["labels"]]
        try:
            studies = read_labels(folder, labels, known)
        except LabelsError as error:
            raise click.ClickException(f"{labels} is not as it must be\n{error}") from error
        run = secrets.token_hex(8)
        read = [_outcomes(client, each, studies, run) for each in asked]
    document = AcceptancePage(
        made_at=dt.datetime.now(dt.UTC).replace(microsecond=0),
        gateway_version=served["gateway"]["version"],
        gateway_sha256=served["gateway"]["sha256"],
        studies=len(studies),
        data_sha256=data_sha256(studies, folder),
        labels_sha256=hashlib.sha256(labels.read_bytes()).hexdigest(),
        run=run,
        versions=tuple(
            _measured(each, found, studies, repository)
            for each, found in zip(asked, read, strict=True)
        ),
        differences=tuple(_differences(asked, read, studies)),
    )
    _publish(document, folder, out, key_file, as_json=as_json)


def _publish(
    document: AcceptancePage, studies: Path, out: Path, key_file: Path | None, *, as_json: bool
) -> None:
    """Write the page, and tell of it on standard output."""
    written = _write(document, studies, out, key_file)
    if as_json:
        files = {"files": list(map(str, written)), "is_signed": key_file is not None}
        form = document.model_dump(mode="json", by_alias=True, exclude_none=True)
        click.echo(json.dumps({**files, "page": form}))
        return
    for path in written:
        click.echo(f"{path}  {'signed' if key_file is not None else 'not signed'}")
    _tell(document)


def _models(
    listed: Sequence[dict[str, Any]], name: str | None, compare: str | None
) -> list[dict[str, Any]]:
    """Return the versions to be run, of those that the gateway lists."""
    ready = [each for each in listed if each["state"] == "ready"]
    wanted, _, version = (name or "").partition(":")
    if name is None and len({each["name"] for each in ready}) > 1:
        names = ", ".join(sorted({each["name"] for each in ready}))
        raise click.UsageError(f"several models are ready: choose with --model one of {names}")
    found = [each for each in ready if not name or each["name"] == wanted]
    chosen = [each for each in found if not version or each["version"] == version]
    if not chosen:
        raise click.ClickException(f"model {name or ''} is not ready".replace("  ", " "))
    asked = [max(chosen, key=lambda each: int(each["version"]))]
    if compare is not None:
        other = [
            each
            for each in ready
            if each["version"] == compare and each["name"] == asked[0]["name"]
        ]
        if not other or other == asked:
            raise click.ClickException(f"there is no other version {compare} that is ready")
        asked += other
    return asked


def _outcomes(
    client: httpx.Client, model: Mapping[str, Any], studies: Sequence[LabelledStudy], run: str
) -> list[StudyOutcome]:
    reference = {"name": model["name"], "version": model["version"]}
    title = f"{model['name']} {model['version']}"
    try:
        with progress(title, len(studies)) as shown:
            return list(shown.over(outcomes(client, reference, studies, run=run)))
    except NoAnswerError as error:
        raise click.ClickException(str(error)) from error


def _measured(
    model: Mapping[str, Any],
    read: Sequence[StudyOutcome],
    studies: Sequence[LabelledStudy],
    repository: Path | None,
) -> MeasuredVersion:
    return MeasuredVersion(
        name=model["name"],
        version=model["version"],
        title=model["contract"]["title"],
        contract_sha256=model["contract_sha256"],
        model_sha256=_files_sha256(repository, model) if repository else None,
        read=sum(bool(each.probabilities) for each in read),
        labels=tuple(
            figures(label, threshold, read) for label, threshold in _thresholds(model, studies)
        ),
        not_applicable=tuple(
            NotRead(study=each.study, reason=each.not_applicable)
            for each in read
            if each.not_applicable is not None
        ),
        failed=tuple(
            NotRead(study=each.study, reason=each.failed)
            for each in read
            if each.failed is not None
        ),
    )


def _differences(
    asked: Sequence[Mapping[str, Any]],
    read: Sequence[Sequence[StudyOutcome]],
    studies: Sequence[LabelledStudy],
) -> Iterator[Difference]:
    if len(asked) == 1:
        return
    thresholds = [dict(_thresholds(each, studies)) for each in asked]
    for label in thresholds[0]:
        if label in thresholds[1]:
            yield difference(
                label, (thresholds[0][label], read[0]), (thresholds[1][label], read[1])
            )


def _thresholds(
    model: Mapping[str, Any], studies: Sequence[LabelledStudy]
) -> list[tuple[str, float]]:
    """Return the labels of the model that the site knows the truth of, with their thresholds."""
    known = {label for study in studies for label in study.truth}
    labels = model["contract"]["output"]["labels"]
    return [(each["label"], each["threshold"]) for each in labels if each["label"] in known]


def _files_sha256(repository: Path, model: Mapping[str, Any]) -> str:
    """Return the SHA-256 over the files of a version."""
    folder = repository / model["name"] / model["version"]
    files = [path for path in folder.rglob("*") if path.is_file()]
    if not files:
        raise click.ClickException(f"{folder} has no files")
    return files_sha256(files, folder)


def _make(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.ClickException(f"{out} cannot be made: {error.strerror}") from error


def _write(document: AcceptancePage, studies: Path, out: Path, key_file: Path | None) -> list[Path]:
    """Write the page in both forms, and sign them; return their files."""
    accepted = document.accepted
    stem = f"acceptance-{accepted.name}-{accepted.version}-{document.made_at:%Y%m%dT%H%M%SZ}"
    data = document.model_dump_json(by_alias=True, exclude_none=True, indent=2).encode() + b"\n"
    digest = hashlib.sha256(data).hexdigest()
    way = Path(os.path.relpath(studies.resolve(), out.resolve())).as_posix()
    html = page(document, is_signed=key_file is not None, json_sha256=digest, studies=way).encode()
    written = []
    for suffix, content in ((".json", data), (".html", html)):
        path = out / f"{stem}{suffix}"
        path.write_bytes(content)
        if key_file is not None:
            try:
                signature_file(path).write_bytes(signed(content, key_file))
            except SignatureKeyError as error:
                raise click.ClickException(str(error)) from error
        written.append(path)
    return written


def _tell(document: AcceptancePage) -> None:
    for version in document.versions:
        click.echo(
            f"{version.name} {version.version}: {version.read} of {document.studies} studies with "
            f"a verdict, {len(version.not_applicable)} not applicable, {len(version.failed)} failed"
        )
        without = Counter(each.reason for each in (*version.not_applicable, *version.failed))
        for reason, count in without.most_common(_REASONS_TOLD):
            click.echo(f"  {count} x {reason}")
        for label in version.labels:
            point = label.operating_point
            click.echo(
                f"  {label.label}: AUC {told(label.auc)}, sensitivity {told(point.sensitivity)}, "
                f"specificity {told(point.specificity)}"
            )


def _verify(verified: Path, key_file: Path | None, *, as_json: bool) -> None:
    if key_file is None:
        raise click.UsageError(f"the key is needed: set {_KEY} or give --key-file")
    signature = signature_file(verified)
    if not signature.exists():
        raise click.ClickException(f"{verified} is not signed: there is no {signature.name}")
    try:
        valid = is_valid(verified.read_bytes(), signature.read_bytes(), key_file)
    except SignatureKeyError as error:
        raise click.ClickException(str(error)) from error
    if not valid:
        raise click.ClickException(f"{verified} is not as it was signed by this key")
    outcome = {"file": str(verified), "is_valid": True}
    tell(outcome, f"{verified}: the signature is valid", as_json=as_json)


def _approve(
    client: httpx.Client, approved: Path, person: str | None, *, is_reference: bool, as_json: bool
) -> None:
    if not person:
        raise click.UsageError("--by is needed: the name of the person who accepts the version")
    text = approved.read_bytes().decode("utf-8", "replace")
    try:
        about = AcceptancePage.model_validate_json(text).accepted
    except ValidationError as error:
        raise click.ClickException(f"{approved} is no acceptance page in JSON") from error
    document: dict[str, Any] = {"page": text, "accepted_by": person, "is_reference": is_reference}
    signature = signature_file(approved)
    if signature.exists():
        document["signature"] = base64.b64encode(signature.read_bytes()).decode()
    # A page from elsewhere must not choose another route for the key.
    name, version = (quote(each, safe="") for each in (about.name, about.version))
    path = f"/v1/models/{name}/versions/{version}/acceptance"
    answer = ask(client, "POST", path, json=document).json()
    text = f"{about.name} {about.version} is accepted by {answer['accepted_by']}"
    if is_reference:
        text += f", its {answer['reference_readings']} readings are the reference"
    tell(answer, text, as_json=as_json)
