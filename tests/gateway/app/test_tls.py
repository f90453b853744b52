"""The gateway speaks TLS by itself, and shows a renewed certificate without a restart."""

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import trustme
from cryptography import x509
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from gateway.app.tls import CertificateError, ServedCertificate
from gateway.observability.metrics import Metrics
from gateway.settings import HttpSettings
from tests.support.gateway import metric, run_command, running_gateway, settings_for, until

AUTHORITY = trustme.CA()
SOON = dt.datetime(2031, 1, 1, tzinfo=dt.UTC)
LATER = dt.datetime(2032, 1, 1, tzinfo=dt.UTC)


def write_certificate(folder: Path, ends: dt.datetime) -> x509.Certificate:
    """A new certificate and key for 127.0.0.1, in the two files."""
    issued = AUTHORITY.issue_cert("127.0.0.1", not_after=ends)
    [chain, *_] = issued.cert_chain_pems
    (folder / "tls.crt").write_bytes(chain.bytes())
    (folder / "tls.key").write_bytes(issued.private_key_pem.bytes())
    return x509.load_pem_x509_certificate(chain.bytes())


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    return context


@dataclass
class Secured:
    url: httpx.URL
    folder: Path
    client: httpx.AsyncClient

    async def served(self, context: ssl.SSLContext | None = None) -> tuple[int, str | None]:
        """Serial number of the certificate that a new connection is shown, and its protocol."""
        _, writer = await asyncio.open_connection(
            self.url.host, self.url.port, ssl=context or trusting()
        )
        connection = writer.get_extra_info("ssl_object")
        shown = x509.load_der_x509_certificate(connection.getpeercert(binary_form=True))
        writer.close()
        await writer.wait_closed()
        return shown.serial_number, connection.version()

    async def expires(self) -> float:
        text = (await self.client.get("/metrics")).text
        name = "radstream_credential_expires_timestamp_seconds"
        return metric(text, name, credential="certificate")


@pytest.fixture(scope="module")
async def secured(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Secured]:
    folder = tmp_path_factory.mktemp("tls")
    write_certificate(folder, SOON)
    http = HttpSettings(port=0, tls_certificate=folder / "tls.crt", tls_key=folder / "tls.key")
    settings = settings_for("127.0.0.1:1", folder / "store").model_copy(update={"http": http})
    async with (
        running_gateway(settings) as gateway,
        httpx.AsyncClient(base_url=gateway.url, verify=trusting(), trust_env=False) as client,
    ):
        yield Secured(httpx.URL(gateway.url), folder, client)


async def test_answers_come_over_tls_and_ask_for_it_ever_after(secured: Secured):
    assert secured.url.scheme == "https"
    answer = await secured.client.get("/livez")
    assert answer.json() == {"status": "alive"}
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
async def test_what_is_older_than_tls_1_2_is_refused(secured: Secured):
    old, new = trusting(), trusting()
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, OSError)):
        await secured.served(old)
    new.maximum_version = ssl.TLSVersion.TLSv1_2
    assert (await secured.served(new))[1] == "TLSv1.2"
    assert (await secured.served())[1] == "TLSv1.3"


async def test_a_renewed_certificate_is_shown(secured: Secured):
    async def expires_at(moment: dt.datetime) -> bool:
        return await secured.expires() == moment.timestamp()

    await until(lambda: expires_at(SOON))
    renewed = write_certificate(secured.folder, LATER)
    await until(lambda: expires_at(LATER))
    assert (await secured.served())[0] == renewed.serial_number


async def test_half_a_renewal_leaves_the_certificate_that_is_whole(tmp_path: Path):
    write_certificate(tmp_path, SOON)
    old_key = (tmp_path / "tls.key").read_bytes()
    certificate = ServedCertificate(tmp_path / "tls.crt", tmp_path / "tls.key")
    write_certificate(tmp_path, LATER)
    new_key = (tmp_path / "tls.key").read_bytes()
    (tmp_path / "tls.key").write_bytes(old_key)
    metrics = Metrics(CollectorRegistry())

    def expires() -> float:
        return metrics.access.credential_expires.labels("certificate")._value.get()

    with capture_logs() as lines:
        following = asyncio.create_task(certificate.follow(metrics))
        await until(lambda: "tls.certificate_broken" in [line["event"] for line in lines])
        assert expires() == 0
        (tmp_path / "tls.key").write_bytes(new_key)
        await until(lambda: expires() == LATER.timestamp())
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following


def test_a_pair_that_does_not_fit_is_no_certificate(tmp_path: Path):
    write_certificate(tmp_path, SOON)
    stale = (tmp_path / "tls.key").read_bytes()
    write_certificate(tmp_path, SOON)
    (tmp_path / "tls.key").write_bytes(stale)
    with pytest.raises(CertificateError, match="do not fit: KEY_VALUES_MISMATCH"):
        ServedCertificate(tmp_path / "tls.crt", tmp_path / "tls.key")
    (tmp_path / "tls.key").write_bytes(b"no key")
    with pytest.raises(CertificateError):
        ServedCertificate(tmp_path / "tls.crt", tmp_path / "tls.key")


async def test_without_its_certificate_the_gateway_does_not_start(tmp_path: Path):
    missing = {
        "RADSTREAM_HTTP__PORT": "0",
        "RADSTREAM_HTTP__TLS_CERTIFICATE": str(tmp_path / "none.crt"),
        "RADSTREAM_HTTP__TLS_KEY": str(tmp_path / "none.key"),
    }
    code, out, err = await run_command("serve", **missing)
    assert (code, out) == (1, "")
    assert err == (
        f"Error: the certificate {tmp_path}/none.crt and its key {tmp_path}/none.key cannot be "
        "read: No such file or directory"
    )


def test_the_gauge_forgets_credentials_that_are_gone():
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    metrics.access.keep_expiries("key:", {"key:a": 1.0, "key:b": 2.0})
    metrics.access.keep_expiries("certificate", {"certificate": 3.0})
    metrics.access.keep_expiries("key:", {"key:b": 4.0})
    families = text_string_to_metric_families(generate_latest(registry).decode())
    found = {
        sample.labels["credential"]: sample.value
        for family in families
        for sample in family.samples
        if sample.name == "radstream_credential_expires_timestamp_seconds"
    }
    assert found == {"key:b": 4.0, "certificate": 3.0}
