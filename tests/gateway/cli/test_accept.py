"""`radstream accept` through a real gateway to two versions of a model."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway import __version__
from gateway.cli.main import main
from gateway.runtime.file_digests import program_sha256
from gateway.schemas.acceptance import AcceptancePage
from tests.gateway.acceptance.test_signature import written
from tests.support.gateway import (
    LiveGateway,
    running_gateway,
    settings_for,
    until,
)
from tests.support.models import flat_png, write_model, write_version
from tests.support.triton import running_triton

pytestmark = pytest.mark.server
# Of the golden image at a gain of 4: the logit is -1.6.
DULL = {
    "output": {"labels": [{"label": "bright", "threshold": 0.2}]},
    "golden": {"probabilities": {"bright": 0.167982}},
}


@pytest.fixture(scope="module")
async def versions(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LiveGateway]:
    """A gateway before `brightness` of two versions."""
    folder = tmp_path_factory.mktemp("versions")
    write_version(write_model(folder / "models"), "2", DULL, gain=4.0)
    async with (
        running_triton(folder / "models") as triton,
        running_gateway(settings_for(triton.grpc_url, folder / "store")) as gateway,
    ):
        await until(gateway.is_ready)
        yield gateway


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Forty pictures from dark to bright, those above level 100 with the finding."""
    folder = tmp_path / "site"
    folder.mkdir()
    lines = ["study,bright,view,sex"]
    for number in range(40):
        level = 20 + 5 * number
        (folder / f"{number}.png").write_bytes(flat_png(level))
        lines.append(f"{number}.png,{int(level > 100)},AP,{'FM'[number % 2]}")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    lines.append("broken.png,1,AP,F")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    return folder


async def radstream(*arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    result = await asyncio.to_thread(CliRunner().invoke, main, arguments)
    return result.exit_code, result.stdout, result.stderr


async def accept(gateway: LiveGateway, site: Path, *arguments: str) -> tuple[int, str, str]:
    labels, out = site.parent / "labels.csv", site.parent / "out"
    return await radstream(
        *("accept", str(site), "--labels", str(labels), "--url", gateway.url, "--out", str(out)),
        *arguments,
    )


def only(folder: Path, ending: str) -> Path:
    [path] = folder.glob(f"*{ending}")
    return path


async def test_a_page_is_written_signed_and_verified(versions: LiveGateway, site: Path):
    key = written(site.parent / "key.pem", Ed25519PrivateKey.generate())
    repository = str(versions.settings.store.folder.parent / "models")
    code, out, err = await accept(
        *(versions, site, "--model", "brightness:1", "--key-file", str(key)),
        *("--repository", repository),
    )
    assert code == 0, err
    assert "40 of 41 studies with a verdict, 0 not applicable, 1 failed" in out
    folder = site.parent / "out"
    page = AcceptancePage.model_validate_json(only(folder, ".json").read_bytes())
    told: dict[str, Any] = (await versions.client.get("/v1/models")).json()
    contract = next(each for each in told["models"] if each["version"] == "1")["contract_sha256"]
    assert page.accepted.contract_sha256 == contract
    assert page.accepted.model_sha256 is not None
    assert (page.gateway_version, page.gateway_sha256) == (__version__, program_sha256())
    assert (page.studies, page.accepted.read) == (41, 40)
    [label] = page.accepted.labels
    assert label.auc is not None
    assert label.auc.value == 1.0
    # Level 130 gives a logit of 0.08: the first that is positive. Levels 105 to 125 are missed.
    assert label.missed == ("17.png", "18.png", "19.png", "20.png", "21.png")
    assert label.overcalled == ()
    assert {each.value for each in label.subgroups if each.attribute == "sex"} == {"F", "M"}
    [failed] = page.accepted.failed
    assert failed.study == "broken.png"
    public = str(key.with_suffix(".pub"))
    for ending in (".json", ".html"):
        verify = ("accept", "--verify", str(only(folder, ending)), "--key-file", public)
        assert (await radstream(*verify))[0] == 0
    approve = ("accept", "--approve", str(only(folder, ".json")), "--url", versions.url)
    valid = json.loads((await radstream(*verify, "--json"))[1])
    assert valid == {"file": str(only(folder, ".html")), "is_valid": True}
    assert (await radstream(*approve))[0] == 2
    code, out, err = await radstream(*approve, "--by", "Dr. A")
    assert (code, out) == (0, "brightness 1 is accepted by Dr. A\n"), err
    code, _, err = await radstream(*approve, "--by", "Dr. A", "--reference")
    assert code == 1
    assert "/is_reference needs 100 readings of the run" in err
    told = (await versions.client.get("/v1/models")).json()
    accepted = {each["version"] for each in told["models"] if "is_accepted" in each}
    assert accepted == {"1"}
    not_json = ("accept", "--approve", str(only(folder, ".html")), "--by", "Dr. A")
    assert (await radstream(*not_json, "--url", versions.url))[0] == 1
    elsewhere = site.parent / "page.json"
    document = json.loads(only(folder, ".json").read_text())
    document["versions"][0]["name"] = "../models/brightness"
    elsewhere.write_text(json.dumps(document))
    page_of = ("accept", "--approve", str(elsewhere), "--by", "Dr. A", "--url", versions.url)
    code, _, err = await radstream(*page_of)
    assert (code, "Not found" in err) == (1, True), err
    html = only(folder, ".html")
    html.write_text(html.read_text().replace("1.000", "0.999", 1))
    code, _, err = await radstream("accept", "--verify", str(html), "--key-file", public)
    assert code == 1
    assert "not as it was signed" in err


async def test_two_versions_share_a_page_which_may_be_unsigned(versions: LiveGateway, site: Path):
    code, out, err = await accept(versions, site, "--compare", "1", "--json")
    assert code == 0, err
    # The gateway of this process logs to the same output.
    told = next(json.loads(line) for line in out.splitlines() if line.startswith("{"))
    assert (told["is_signed"], len(told["files"])) == (False, 2)
    assert told["page"]["studies"] == 41
    folder = site.parent / "out"
    page = json.loads(only(folder, ".json").read_text())
    assert [each["version"] for each in page["versions"]] == ["2", "1"]
    [difference] = page["differences"]
    assert difference["auc"]["value"] == 0.0
    assert difference["studies"] == 40
    assert "Not signed" in only(folder, ".html").read_text()
    key = written(site.parent / "key.pem", Ed25519PrivateKey.generate())
    verify = ("accept", "--verify", str(only(folder, ".json")), "--key-file", str(key))
    code, _, err = await radstream(*verify)
    assert code == 1
    assert "is not signed" in err


async def test_what_cannot_be_run_is_told(versions: LiveGateway, site: Path):
    for arguments, message in (
        (("--model", "other"), "model other is not ready"),
        (("--model", "brightness:7"), "model brightness:7 is not ready"),
        (("--compare", "2"), "there is no other version 2"),
    ):
        code, _, err = await accept(versions, site, *arguments)
        assert code == 1
        assert message in err
    (site.parent / "labels.csv").write_text("study,pneumonia\n0.png,1\n")
    code, _, err = await accept(versions, site)
    assert code == 1
    assert "column 'pneumonia' is no label of the model: bright" in err
    assert (await radstream("accept"))[0] == 2


def test_a_folder_for_the_page_that_cannot_be_made_ends_it_before_the_run(
    site: Path, tmp_path: Path
):
    out = tmp_path / "labels.csv" / "out"
    labels = ["--labels", str(tmp_path / "labels.csv")]
    result = CliRunner().invoke(main, ["accept", str(site), *labels, "--out", str(out)])
    assert result.exit_code == 1
    assert result.output == f"Error: {out} cannot be made: Not a directory\n"


def test_a_gateway_of_an_older_version_is_told_before_the_run(
    site: Path, monkeypatch: pytest.MonkeyPatch
):
    def older(url: str, api_key: str | None) -> httpx.Client:
        del api_key
        transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"models": []}))
        return httpx.Client(base_url=url, transport=transport)

    monkeypatch.setattr("gateway.cli.accept.gateway_client", older)
    labels = ["--labels", str(site.parent / "labels.csv"), "--out", str(site.parent)]
    result = CliRunner().invoke(main, ["accept", str(site), *labels, "--url", "http://old"])
    assert result.exit_code == 1
    assert result.output.startswith("Error: http://old is a gateway of an older version")
