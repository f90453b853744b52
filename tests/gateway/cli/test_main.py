"""The `radstream` command, as a process."""

import json
import platform
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway import __version__
from gateway.cli.main import main
from gateway.triton.embedded import EmbeddedTriton
from tests.support.gateway import LiveGateway, metadata, run_command, running_command, until
from tests.support.models import flat_png


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """A white and a black picture."""
    files = [tmp_path / "white.png", tmp_path / "black.png"]
    for file, level in zip(files, (255, 0), strict=True):
        file.write_bytes(flat_png(level))
    return files


async def send(gateway: LiveGateway, *arguments: object) -> tuple[int, str, str]:
    return await run_command("send", "--url", gateway.url, *map(str, arguments))


async def test_send_prints_a_line_a_finding(gateway: LiveGateway, pictures: list[Path]):
    code, out, err = await send(gateway, *pictures)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert re.fullmatch(r"white\.png: study study-[0-9a-f]{16}", lines[0])
    assert re.fullmatch(r"  image 1  bright +0\.982  positive  \d+ ms", lines[1])
    assert lines[2].startswith("black.png: study study-")
    assert re.fullmatch(r"  image 1  bright +0\.018  negative  \d+ ms", lines[3])


async def test_send_puts_all_files_into_the_study_it_is_told(
    gateway: LiveGateway, pictures: list[Path]
):
    study_id = metadata()["study_id"]
    code, out, _ = await send(gateway, "--study-id", study_id, "--json", *pictures)
    assert code == 0
    [line] = out.splitlines()
    assert json.loads(line)["study_id"] == study_id
    assert len(json.loads(line)["images"]) == 2


async def test_a_sidecar_gives_the_metadata(gateway: LiveGateway, pictures: list[Path]):
    document = metadata(view="PA", note="from the sidecar")
    pictures[0].with_suffix(".json").write_text(json.dumps(document))
    code, out, _ = await send(gateway, "--json", "--view", "AP", pictures[0])
    assert code == 0
    result = json.loads(out)
    assert result["study_id"] == document["study_id"]
    assert result["images"][0]["view"] == "PA"
    assert result["warnings"][0]["pointer"] == "/note"


async def test_a_finding_of_a_model_that_is_not_applicable_is_told_as_none(
    gateway: LiveGateway, pictures: list[Path]
):
    document = metadata(view="LL", model="brightness")
    pictures[0].with_suffix(".json").write_text(json.dumps(document))
    code, out, _ = await send(gateway, pictures[0])
    assert code == 0
    assert re.search(r"^  image 1  bright +0\.\d{3}  not applicable  \d+ ms$", out, re.MULTILINE)


async def test_a_broken_sidecar_is_named(gateway: LiveGateway, pictures: list[Path]):
    file = pictures[0].with_suffix(".json")
    file.write_text("[1]")
    code, out, err = await send(gateway, pictures[0])
    assert (code, out) == (1, "")
    assert err == f"Error: {file}  must be a JSON object"


async def test_a_refused_study_is_told_in_words_and_the_rest_is_sent(
    gateway: LiveGateway, pictures: list[Path]
):
    pictures[0].with_suffix(".json").write_text('{"view": "UP", "study_id": "."}')
    code, out, err = await send(gateway, *pictures)
    assert code == 1
    assert err.splitlines() == [
        "white.png: Invalid metadata. Mend what 'errors' lists and send the study again.",
        "  /study_id must be 1 to 64 letters, digits, '.', '_' or '-', not beginning with a dot",
        "  /view must be 'PA', 'AP', 'LATERAL', 'OBLIQUE' or 'OTHER'",
    ]
    assert out.startswith("black.png: study ")


@pytest.mark.server
@pytest.mark.parametrize("command", [["send", "PICTURE"], ["parked", "list"]])
async def test_a_gateway_is_looked_for_where_the_settings_say(
    command: list[str], pictures: list[Path]
):
    command = [str(pictures[0]) if each == "PICTURE" else each for each in command]
    code, _, err = await run_command(*command, RADSTREAM_HTTP__PORT="9")
    assert code == 1
    assert err.startswith("Error: http://127.0.0.1:9 does not answer: ")
    assert "Traceback" not in err


@pytest.mark.server
async def test_a_store_that_cannot_be_written_is_told_in_a_sentence():
    # Nobody makes a folder there, root included.
    variables = {"RADSTREAM_STORE__FOLDER": "/proc/store", "RADSTREAM_HTTP__PORT": "0"}
    code, out, err = await run_command("serve", **variables, RADSTREAM_LOGS__FORMAT="json")
    assert (code, out) == (1, "")
    *events, sentence = err.splitlines()
    assert sentence == (
        "Error: the store /proc/store cannot be written: No such file or directory. Let this user "
        "write there; RADSTREAM_STORE__FOLDER chooses another folder"
    )
    assert json.loads(events[-1])["event"] == "gateway.not_started"
    assert "Traceback" not in err


@pytest.mark.server
@pytest.mark.parametrize("command", ["up", "serve"])
async def test_a_faulty_routing_document_is_told_before_anything_is_started(
    command: str, tmp_path: Path
):
    routing = tmp_path / "routing.json"
    hook = {"name": "ris", "kind": "webhook", "url": "http://ris", "secret_file": "/run/secret"}
    routing.write_text(json.dumps({"schema": "radstream.routing/1", "destinations": [hook]}))
    code, out, err = await run_command(
        command,
        RADSTREAM_ROUTING__FILE=str(routing),
        RADSTREAM_TRITON__MODEL_REPOSITORY=str(tmp_path / "none"),
        RADSTREAM_STORE__FOLDER=str(tmp_path / "store"),
        RADSTREAM_HTTP__PORT="0",
        RADSTREAM_LOGS__FORMAT="json",
    )
    assert (code, out) == (1, "")
    [event, sentence] = err.splitlines()
    assert json.loads(event)["event"] == "gateway.not_started"
    assert sentence == (
        f"Error: the routing document {routing} cannot be used: /destinations/0/url: must be an "
        "https URL without user and fragment"
    )
    assert not (tmp_path / "store").exists()


@pytest.mark.server
async def test_a_drop_folder_that_cannot_be_made_is_told_in_a_sentence(tmp_path: Path):
    variables = {
        "RADSTREAM_STORE__FOLDER": str(tmp_path / "store"),
        "RADSTREAM_DROPFOLDER__FOLDER": "/proc/drop",
        "RADSTREAM_DROPFOLDER__WATCH": "true",
        "RADSTREAM_HTTP__PORT": "0",
    }
    code, out, err = await run_command("serve", **variables, RADSTREAM_LOGS__FORMAT="json")
    assert (code, out) == (1, "")
    *events, sentence = err.splitlines()
    assert sentence == (
        "Error: the drop folder /proc/drop cannot be made: No such file or directory; "
        "RADSTREAM_DROPFOLDER__FOLDER chooses another folder"
    )
    assert "exception" not in json.loads(events[-1])


async def test_what_answers_but_is_no_gateway_is_named(
    triton: EmbeddedTriton, pictures: list[Path]
):
    url = f"http://{triton.http_url}"
    code, _, err = await run_command("send", "--url", url, str(pictures[0]))
    assert code == 1
    assert err.startswith(f"Error: {url}/v1/studies is no RadStream: its answer, of status 4")


@pytest.mark.server
async def test_strangers_are_not_let_in_unasked():
    code, out, err = await run_command("serve", RADSTREAM_HTTP__HOST="0.0.0.0")  # noqa: S104 - is refused
    assert (code, out) == (1, "")
    assert err.splitlines() == [
        "Error: the settings are not valid",
        (
            "  RADSTREAM_HTTP__HOST is not loopback, so authentication is required: set "
            "RADSTREAM_ACCESS__KEY_FILE (`radstream keys create` makes one) or "
            "RADSTREAM_ACCESS__ISSUER and RADSTREAM_ACCESS__AUDIENCE"
        ),
    ]


@pytest.mark.server
async def test_every_fault_of_the_settings_stops_the_start():
    code, out, err = await run_command(
        "serve",
        RADSTREAM_HTTP__HOST="example.org",
        RADSTREAM_HTTP__PORT="many",
        RADSTREAM_PORT="8080",
        RADSTREAM_HTTP__COLOUR="blue",
    )
    assert (code, out) == (1, "")
    assert err.splitlines() == [
        "Error: the settings are not valid",
        "  RADSTREAM_HTTP__COLOUR: no such setting",
        "  RADSTREAM_PORT: no such setting",
        "  RADSTREAM_HTTP__HOST: 'example.org' does not appear to be an IPv4 or IPv6 address",
        "  RADSTREAM_HTTP__PORT: must be a whole number",
    ]


@pytest.mark.parametrize("machine", ["riscv64", "arm64"])
def test_up_names_the_way_round_a_platform_without_triton(
    machine: str, monkeypatch: pytest.MonkeyPatch, repository: Path
):
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setenv("RADSTREAM_TRITON__MODEL_REPOSITORY", str(repository))
    monkeypatch.setenv("RADSTREAM_HTTP__PORT", "0")
    result = CliRunner().invoke(main, ["up"])
    assert result.exit_code == 1
    assert f"there is no Triton wheel for Linux on {machine}" in result.output
    assert "docker compose up" in result.output


@pytest.mark.server
async def test_up_names_a_model_repository_that_is_not_there(tmp_path: Path):
    code, _, err = await run_command(
        "up", RADSTREAM_TRITON__MODEL_REPOSITORY=str(tmp_path / "none"), RADSTREAM_HTTP__PORT="0"
    )
    assert code == 1
    assert "Error: Triton did not start: " in err
    assert f"{tmp_path / 'none'} is not a folder" in err
    assert "Traceback" not in err


@pytest.mark.server
async def test_up_runs_triton_and_the_gateway_and_says_where(repository: Path, tmp_path: Path):
    variables = {
        "RADSTREAM_TRITON__MODEL_REPOSITORY": str(repository),
        "RADSTREAM_STORE__FOLDER": str(tmp_path / "store"),
        "RADSTREAM_HTTP__PORT": "0",
    }
    picture = tmp_path / "white.png"
    picture.write_bytes(flat_png(255))
    async with running_command("up", **variables) as command:
        url = await command.url()
        await until(lambda: any(line.startswith("Try: ") for line in command.out))
        said = "\n".join(command.out)
        for path in ("/v1/studies", "/v1/models", "/docs", "/readyz", "/metrics"):
            assert f"{url}{path}\n" in said
        assert str(repository) in said
        code, out, _ = await run_command("send", "--url", url, str(picture))
        assert code == 0
        assert "positive" in out
        assert await command.stop() == 0


@pytest.mark.server
async def test_version_and_help():
    code, out, _ = await run_command("--version")
    assert (code, out) == (0, f"radstream, version {__version__}")
    code, out, _ = await run_command("-h")
    assert code == 0
    assert re.search(r"\bup\b[\s\S]*", out)
    assert re.search(r"\bserve\b", out)
