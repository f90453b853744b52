"""The banner of `radstream up`: where everything is, by the settings."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gateway.app.embedded import serves_console
from gateway.cli.gateway_client import default_url
from gateway.settings import CLIENT_KEY, DELIMITER, PREFIX

if TYPE_CHECKING:
    from gateway.settings import Settings
    from gateway.triton.embedded import EmbeddedTriton


def banner(settings: Settings, url: str, triton: EmbeddedTriton, *, program: str) -> str:
    """Return the lines for a person.

    Parameters
    ----------
    url
        The gateway's address.
    program
        The command, as it was called.
    """
    prefix = settings.http.path_prefix
    lines = {
        "console": f"{url}{prefix}/console" if serves_console(settings) else None,
        "studies": f"{url}{prefix}/v1/studies",
        "models": f"{url}{prefix}/v1/models",
        "API docs": f"{url}{prefix}/docs",
        "readiness": f"{url}{prefix}/readyz",
        "metrics": f"{url}{prefix}/metrics",
        "Triton": f"grpc {triton.grpc_url}, http {triton.http_url}, metrics {triton.metrics_url}",
        "models in": str(settings.triton.model_repository.absolute()),
        "drop here": _drop_folder(settings),
        "DICOM to": _dicom(settings),
        "results in": _results(settings),
    }
    told = "\n".join(f"  {name:<10} {where}" for name, where in lines.items() if where)
    return f"""
RadStream is running. Ctrl-C stops it.

{told}

Try: {_example(settings, url, program)}
"""


def _drop_folder(settings: Settings) -> str | None:
    """Return the folder that files are taken from; None where none is watched."""
    if settings.store.kind == "s3":
        return f"s3://{settings.store.images_bucket}/images/ (its events come to /v1/events/s3)"
    if settings.dropfolder.watch is False:
        return None
    return str(settings.dropfolder.folder.absolute())


def _dicom(settings: Settings) -> str | None:
    """Return the AE title, address and port to send to; None where none is listened on."""
    dimse = settings.dimse
    if dimse.listen is False:
        return None
    port = f"port {dimse.port}" if dimse.port else "a free port, which the log has"
    return f"{dimse.ae_title} at {dimse.host}, {port}"


def _results(settings: Settings) -> str:
    if settings.store.kind == "s3":
        return f"s3://{settings.store.results_bucket}/results/"
    return str(settings.store.folder.absolute())


def _example(settings: Settings, url: str, program: str) -> str:
    """Return a command that works in another terminal, which may not have this one's variables."""
    own: dict[str, str] = {}
    if settings.http.tls_certificate is not None:  # trusted at this address, whoever signed it
        address, http = urlsplit(url), f"{PREFIX}HTTP{DELIMITER}"
        own = {
            f"{http}HOST": str(address.hostname),
            f"{http}PORT": str(address.port),
            f"{http}TLS_CERTIFICATE": str(settings.http.tls_certificate.absolute()),
        }
    variables = "".join(f"{name}={shlex.quote(value)} " for name, value in own.items())
    if settings.access.is_asked:
        variables += f"{CLIENT_KEY}=… "
    where = "" if url == default_url(own) else f" --url {url}"
    return f"{variables}{shlex.quote(program)} send{where} tests/data/images/*.jpeg"
