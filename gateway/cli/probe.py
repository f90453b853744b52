"""`radstream probe`: sends each model's golden image as a study, and holds the answer to it."""

from __future__ import annotations

import base64
import datetime as dt
import json
import secrets
import sys
import time
from typing import TYPE_CHECKING, Any

import click
import httpx

from gateway.cli.gateway_client import api_key_option, gateway_client, url_option
from gateway.cli.json_output import json_option
from gateway.schemas.metadata import PROBE_PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class ProbeError(Exception):
    """The way of a study, or the answer at its end, is not as it should be."""


@click.command()
@url_option
@click.option("--model", "names", multiple=True, help="Only this model; may be repeated.")
@json_option("each model's outcome, a line each")
@api_key_option
def probe(url: str, names: Sequence[str], api_key: str | None, *, as_json: bool) -> None:
    """Send the golden image of every ready model as a study, and check its result.

    Each goes the way of any study, is stored, and is looked up again. The gateway removes these
    studies after a quarter of an hour. The key needs the scopes studies:write and studies:read.
    """
    failed = 0
    with gateway_client(url, api_key) as client:
        try:
            ready = _ready(client, names)
        except ProbeError as error:
            raise click.ClickException(str(error)) from error
        for model in ready:
            reference = _reference(model)
            began = time.monotonic()
            fault = None
            try:
                _probe(client, model)
            except ProbeError as error:
                failed += 1
                fault = str(error)
            took_ms = round((time.monotonic() - began) * 1000)
            if as_json:
                click.echo(json.dumps({"model": reference, "fault": fault, "took_ms": took_ms}))
            else:
                told = fault or f"ok, {took_ms} ms"
                click.echo(f"{reference}: {told}", err=fault is not None)
    sys.exit(1 if failed else 0)


def _ready(client: httpx.Client, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the models to be probed, as the gateway tells of them."""
    models = _ask(client, "GET", "/v1/models")["models"]
    ready = [each for each in models if each["state"] == "ready"]
    missing = set(names) - {each["name"] for each in ready}
    if missing or not ready:
        raise ProbeError(f"not ready: {', '.join(sorted(missing)) or 'any model'}")
    return [each for each in ready if not names or each["name"] in names]


def _probe(client: httpx.Client, model: Mapping[str, Any]) -> None:
    study_id, contract = f"{PROBE_PREFIX}{secrets.token_hex(8)}", model["contract"]
    result = _ask(
        client,
        "POST",
        "/v1/studies",
        files=[
            ("metadata", (None, json.dumps(_metadata(study_id, model)))),
            ("image", ("golden", base64.b64decode(contract["golden"]["image"]))),
        ],
    )
    check(result, _reference(model), contract)
    if _ask(client, "GET", f"/v1/studies/{study_id}")["images"] != result["images"]:
        raise ProbeError("what is stored differs from what was answered")


def _reference(model: Mapping[str, Any]) -> str:
    return f"{model['name']}/{model['version']}"


def _metadata(study_id: str, model: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document of a study that the model takes."""
    accepts = model["contract"]["accepts"]
    document = {
        "study_id": study_id,
        "timestamp": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "model": {"name": model["name"], "version": model["version"]},
        "view": min(accepts["views"], default="AP"),
    }
    for field, values in (("modality", "modalities"), ("body_part", "body_parts")):
        if accepts[values]:
            document[field] = min(accepts[values])
    return document


def check(result: Mapping[str, Any], reference: str, contract: Mapping[str, Any]) -> None:
    """Hold a study's only image to the golden image of the model that was to read it.

    Raises
    ------
    ProbeError
    """
    [image] = result["images"]
    [reading] = image["readings"]
    read_by = _reference(reading["model"])
    if read_by != reference:
        raise ProbeError(f"it was read by {read_by}")
    golden = contract["golden"]
    thresholds = {each["label"]: each["threshold"] for each in contract["output"]["labels"]}
    found = {each["label"]: each for each in reading["findings"]}
    if found.keys() != thresholds.keys():
        raise ProbeError(f"its findings are {sorted(found)}, not {sorted(thresholds)}")
    for label, expected in golden["probabilities"].items():
        probability = found[label]["probability"]
        if abs(probability - expected) > golden["tolerance"]:
            raise ProbeError(f"{label} is {probability:.4f}, not {expected:.4f}")
        if found[label]["positive"] != (probability >= thresholds[label]):
            raise ProbeError(f"{label} is on the wrong side of its threshold")


def _ask(client: httpx.Client, method: str, path: str, **sent: Any) -> dict[str, Any]:
    """Return the answer's document.

    Raises
    ------
    ProbeError
        There is none, or it is a problem.
    """
    try:
        response = client.request(method, path, **sent)
    except httpx.TransportError as error:
        raise ProbeError(f"{client.base_url} does not answer: {error}") from error
    try:
        document: dict[str, Any] = response.json()
        title = document.get("title", "")
    except (ValueError, AttributeError):
        document, title = {}, "what answers is no RadStream"
    if response.status_code != httpx.codes.OK or not document:
        raise ProbeError(f"{method} {path} answers {response.status_code}: {title}")
    return document
