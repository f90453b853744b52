"""`radstream keys`, and a key's way into a running gateway and out of it, as processes."""

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from gateway.access.key_file import read_keys
from gateway.cli.main import main
from tests.support.gateway import metadata, running_command, until
from tests.support.models import flat_png


@pytest.fixture
def keys(tmp_path: Path) -> Callable[..., Result]:
    """Runs `radstream keys` on a file that is not there yet."""

    def run(command: str, *arguments: str) -> Result:
        file = str(tmp_path / "secrets" / "keys.json")
        return CliRunner().invoke(main, ["keys", command, "--file", file, *arguments])

    return run


def test_a_key_is_shown_once_and_kept_by_its_hash(keys: Callable[..., Result], tmp_path: Path):
    made = keys("create", "ris", "--scope", "studies:write", "--scope", "operate", "--days", "3")
    assert made.exit_code == 0, made.output
    key = made.stdout.strip()
    file = tmp_path / "secrets" / "keys.json"
    assert key.split("_")[2] not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in file.parent.iterdir()] == ["keys.json"]
    [listed] = keys("list").stdout.splitlines()
    assert listed.startswith(f"{key.split('_')[1]}  ris  operate studies:write  expires 20")
    entry = json.loads(keys("list", "--json").stdout)
    assert "sha256" not in entry
    assert entry["scopes"] == ["operate", "studies:write"]
    told = json.loads(keys("create", "pacs", "--scope", "operate", "--json").stdout)
    assert told["key"].split("_")[1] == told["id"]
    assert "sha256" not in told
    assert json.loads(keys("revoke", told["id"], "--json").stdout) == {"id": told["id"]}


def test_revoking_takes_the_named_keys_and_no_others(keys: Callable[..., Result], tmp_path: Path):
    made = [keys("create", "ris", "--scope", "operate").stdout.split("_")[1] for _ in range(3)]
    assert keys("revoke", made[0], made[2]).exit_code == 0
    left = read_keys(tmp_path / "secrets" / "keys.json").keys
    assert [entry.id for entry in left] == [made[1]]
    unknown = keys("revoke", made[1], made[0])
    assert unknown.exit_code == 1
    assert unknown.stderr == f"Error: no key has the id {made[0]}\n"
    assert len(read_keys(tmp_path / "secrets" / "keys.json").keys) == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("ris",), "Missing option '--scope'"),
        (("ris", "--scope", "all"), "'all' is not one of"),
        (("ris", "--scope", "operate", "--days", "0"), "0 is not in the range"),
        (("../ris", "--scope", "operate"), "name: must be 1 to 64 letters, digits, "),
        (("", "--scope", "operate"), "name: must be 1 to 64 letters, digits, "),
    ],
)
def test_a_key_that_cannot_be_is_not_made(
    arguments: tuple[str, ...], told: str, keys: Callable[..., Result], tmp_path: Path
):
    made = keys("create", *arguments)
    assert made.exit_code != 0
    assert told in made.stderr
    assert not (tmp_path / "secrets").exists()


def test_a_file_that_holds_something_else_is_left_alone(
    keys: Callable[..., Result], tmp_path: Path
):
    (tmp_path / "secrets").mkdir()
    file = tmp_path / "secrets" / "keys.json"
    file.write_text('{"keys": 7}')
    for command in (("create", "ris", "--scope", "operate"), ("list",), ("revoke", "x")):
        ended = keys(*command)
        assert ended.exit_code == 1
        assert ended.stderr.startswith("Error: the key file cannot be used: /keys: ")
    assert file.read_text() == '{"keys": 7}'


@pytest.mark.server
async def test_a_mounted_secret_is_exchanged_while_the_gateway_runs(
    keys: Callable[..., Result], tmp_path: Path
):
    """On all addresses, with a link above the file exchanged as Kubernetes does it."""
    versions = [tmp_path / "..v1", tmp_path / "..v2"]
    made = []
    for version in versions:
        made.append(keys("create", "ris", "--scope", "studies:write").stdout.strip())
        version.mkdir()
        (tmp_path / "secrets" / "keys.json").rename(version / "keys.json")
    (tmp_path / "..data").symlink_to("..v1")
    (tmp_path / "keys.json").symlink_to("..data/keys.json")
    async with running_command(
        "serve",
        RADSTREAM_HTTP__HOST="0.0.0.0",  # noqa: S104 - callers are asked
        RADSTREAM_HTTP__PORT="0",
        RADSTREAM_TRITON__URL="127.0.0.1:1",
        RADSTREAM_STORE__FOLDER=str(tmp_path / "store"),
        RADSTREAM_ACCESS__KEY_FILE=str(tmp_path / "keys.json"),
    ) as gateway:
        port = httpx.URL(await gateway.url()).port
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", trust_env=False
        ) as client:

            async def kind(key: str) -> str:
                answer = await client.post("/v1/studies", headers={"X-API-Key": key})
                return str(answer.json()["type"].rpartition(":")[2])

            async def is_known(key: str) -> bool:
                return await kind(key) == "model-unavailable"  # its Triton is away

            assert [await kind(key) for key in made] == [
                "model-unavailable",
                "credentials-invalid",
            ]
            (tmp_path / "..new").symlink_to("..v2")
            (tmp_path / "..new").rename(tmp_path / "..data")
            await until(lambda: is_known(made[1]))
            assert await kind(made[0]) == "credentials-invalid"
            picture = tmp_path / "picture.png"
            picture.write_bytes(flat_png(3))
            picture.with_suffix(".json").write_text(json.dumps(metadata()))
            arguments = ("send", "--url", str(client.base_url), str(picture))
            async with running_command(*arguments) as command:
                assert await command.process.wait() == 1
            assert command.err[0].startswith("picture.png: Authentication required.")
            async with running_command(*arguments, RADSTREAM_API_KEY=made[1]) as command:
                assert await command.process.wait() == 1
            assert command.err[0].startswith("picture.png: Model unavailable.")
        assert not any(key in line for key in made for line in [*gateway.out, *gateway.err])
