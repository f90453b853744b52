"""The SBOM names all that the lock pins, and the audit says what it knows and what it does not."""

import hashlib
import http.server
import json
import os
import re
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.server

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements" / "gateway.txt"


def pinned() -> set[tuple[str, str]]:
    return set(re.findall(r"^([a-z0-9._-]+)(?:\[\w+\])?==(\S+)", LOCK.read_text(), re.MULTILINE))


@pytest.fixture(scope="module")
def sbom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made as `make sbom` makes it."""
    file = tmp_path_factory.mktemp("sbom") / "sbom.cdx.json"
    options = re.search(
        r"cyclonedx-py (requirements .*?) -o \S+", (ROOT / "Makefile").read_text(), re.DOTALL
    )
    assert options is not None
    arguments = [option for option in options[1].split() if option != "\\"]
    subprocess.run(
        [sys.executable, "-m", "cyclonedx_py", *arguments, "-o", str(file)], cwd=ROOT, check=True
    )
    return file


def test_the_sbom_names_all_that_is_pinned_with_hashes(sbom: Path):
    document = json.loads(sbom.read_text())
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert document["metadata"]["component"]["name"] == "radstream"
    found = {(each["name"], each["version"]) for each in document["components"]}
    assert found == pinned()
    for component in document["components"]:
        assert component["purl"] == f"pkg:pypi/{component['name']}@{component['version']}"
        [source] = component["externalReferences"]
        assert source["hashes"]


@contextmanager
def osv(vulnerable: str) -> Iterator[str]:
    """A service that answers as OSV's batch query does, and knows one vulnerable package."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/querybatch"
            length = int(self.headers["Content-Length"])
            queries: list[dict[str, Any]] = json.loads(self.rfile.read(length))["queries"]
            results = [
                {"vulns": [{"id": "GHSA-test"}]} if vulnerable in query["package"]["purl"] else {}
                for query in queries
            ]
            body = json.dumps({"results": results}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def audit(sbom: Path, url: str, *options: str, mirror: Path | str = "") -> tuple[int, str]:
    ended = subprocess.run(
        [sys.executable, str(ROOT / ".ci" / "audit"), *options, str(sbom)],
        env=os.environ | {"OSV_URL": url, "OSV_DB": str(mirror), "NO_PROXY": "*"},
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stdout or ended.stderr


def test_a_known_vulnerability_fails_the_build(sbom: Path):
    with osv("pkg:pypi/fastapi@") as url:
        code, out = audit(sbom, url)
    assert code == 1
    assert re.search(r"^pkg:pypi/fastapi@\S+: GHSA-test$", out, re.MULTILINE)
    assert f"audited {len(pinned())} packages" in out


def test_none_is_told_with_what_was_asked(sbom: Path):
    with osv("pkg:pypi/none@") as url:
        code, out = audit(sbom, url)
    assert code == 0
    assert out == f"audited {len(pinned())} packages at {url}: 0 with known vulnerabilities\n"


def test_an_audit_that_did_not_happen_says_so(sbom: Path):
    code, out = audit(sbom, "http://127.0.0.1:1")
    assert (code, out[:12]) == (0, "NOT AUDITED:"), out


def test_a_strict_audit_fails_where_it_did_not_happen(sbom: Path):
    code, out = audit(sbom, "http://127.0.0.1:1", "--strict")
    assert (code, out[:12]) == (1, "NOT AUDITED:")


def made(kind: str, *arguments: Path) -> list[dict[str, Any]]:
    """Components that .ci/sbom writes, which validates them."""
    command = [sys.executable, ROOT / ".ci" / "sbom", kind, *arguments]
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    components: list[dict[str, Any]] = json.loads(ended.stdout)["components"]
    return components


def test_the_triton_images_document_names_what_its_recipe_installs():
    taken = [
        re.findall(r"awk '([^']+)'", (ROOT / file).read_text())
        for file in ("Makefile", "docker/triton-cpu.Dockerfile")
    ]
    assert len(taken[0]) == 1
    assert taken[0] == taken[1]


def test_models_are_told_with_hash_card_data_and_figures():
    repository = ROOT / "model_repository"
    found = made("models", repository)
    assert [(each["type"], each["name"], each["version"]) for each in found] == [
        ("machine-learning-model", "cxr_pneumonia", "1"),
        ("machine-learning-model", "cxr_pneumonia", "2"),
    ]
    values = []
    for model in found:
        weights = (repository / f"cxr_pneumonia/{model['version']}/model.onnx").read_bytes()
        digest = hashlib.sha256(weights).hexdigest()
        assert model["hashes"] == [{"alg": "SHA-256", "content": digest}]
        values.append(model["modelCard"]["quantitativeAnalysis"])
    assert values[0] != values[1]
    urls = [each["url"] for each in model["externalReferences"]]
    assert "https://doi.org/10.17632/rscbjbr9sj" in urls
    card = model["modelCard"]
    assert "Not for diagnosis" in card["considerations"]["useCases"][0]
    assert card["modelParameters"]["datasets"][0]["description"].startswith("Kermany")
    assert "AUC" in {each["type"] for each in card["quantitativeAnalysis"]["performanceMetrics"]}


def test_npm_packages_are_told_with_their_hashes():
    lock = ROOT / "serverless" / "package-lock.json"
    [osls] = [each for each in made("npm", lock) if each["name"] == "osls"]
    version = json.loads(lock.read_text())["packages"]["node_modules/osls"]["version"]
    assert osls["purl"] == f"pkg:npm/osls@{version}"
    assert (osls["hashes"][0]["alg"], len(osls["hashes"][0]["content"])) == ("SHA-512", 128)


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    """A distroless image's records: one package of another source, one that was removed."""
    root = tmp_path / "rootfs"
    (root / "usr/lib").mkdir(parents=True)
    (root / "usr/lib/os-release").write_text('ID=debian\nVERSION_ID="12"\n')
    records = root / "var/lib/dpkg/status.d"
    records.mkdir(parents=True)
    (records / "libssl3").write_text(
        "Package: libssl3\nStatus: install ok installed\nSource: openssl\n"
        "Architecture: amd64\nVersion: 3.0.17-1~deb12u2\n"
    )
    (records / "gone").write_text(
        "Package: gone\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n"
    )
    return root


def test_debians_packages_are_told_with_their_source(rootfs: Path):
    [libssl] = made("debian", rootfs)
    assert libssl["purl"] == ("pkg:deb/debian/libssl3@3.0.17-1~deb12u2?arch=amd64&distro=debian-12")
    assert {each["value"] for each in libssl["properties"]} == {"openssl", "3.0.17-1~deb12u2"}


def record(ecosystem: str, name: str, *events: dict[str, str], **more: Any) -> dict[str, Any]:
    kind = "SEMVER" if ecosystem == "npm" else "ECOSYSTEM"
    return {
        "id": "TEST-1",
        "affected": [
            {
                "package": {"ecosystem": ecosystem, "name": name},
                "ranges": [{"type": kind, "events": list(events)}],
                **more,
            }
        ],
    }


def mirror_of(folder: Path, ecosystem: str, *entries: dict[str, Any]) -> Path:
    (folder / ecosystem).mkdir(parents=True)
    with zipfile.ZipFile(folder / ecosystem / "all.zip", "w") as archive:
        for number, entry in enumerate(entries):
            archive.writestr(f"{number}.json", json.dumps(entry))
    return folder


def sbom_of(folder: Path, purl: str, source: str = "") -> Path:
    file = folder / "one.cdx.json"
    properties = [{"name": "radstream:source", "value": source}] if source else []
    component = {"type": "library", "name": "it", "purl": purl, "properties": properties}
    file.write_text(json.dumps({"components": [component]}))
    return file


ZERO = {"introduced": "0"}
OPENSSL = "pkg:deb/debian/libssl3@3.0.17-1~deb12u2?distro=debian-12"


@pytest.mark.parametrize(
    ("ecosystem", "package", "events", "hit"),
    [
        ("PyPI", ("it", "pkg:pypi/it@1.10"), [ZERO, {"fixed": "1.9"}], False),
        ("PyPI", ("it", "pkg:pypi/it@2.0rc1"), [ZERO, {"fixed": "2.0"}], True),
        ("PyPI", ("it", "pkg:pypi/it@2.0"), [ZERO, {"fixed": "2.0"}], False),
        ("PyPI", ("it", "pkg:pypi/it@2.0"), [{"introduced": "1"}, {"last_affected": "2.0"}], True),
        ("PyPI", ("it", "pkg:pypi/it@2.0.1"), [{"introduced": "1"}, {"last_affected": "2"}], False),
        ("PyPI", ("it", "pkg:pypi/it@3"), [{"introduced": "3"}, ZERO, {"fixed": "2"}], True),
        ("npm", ("@a/it", "pkg:npm/%40a/it@1.0.0-beta.2"), [ZERO, {"fixed": "1.0.0"}], True),
        ("npm", ("@a/it", "pkg:npm/%40a/it@1.10.0"), [ZERO, {"fixed": "1.9.0"}], False),
        ("Debian:12", ("openssl", OPENSSL), [ZERO, {"fixed": "3.0.17-1"}], True),
        ("Debian:12", ("openssl", OPENSSL), [ZERO, {"fixed": "3.0.17-1~deb12u2"}], False),
        ("Debian:12", ("openssl", OPENSSL), [ZERO, {"fixed": "1:1.0"}], True),
        ("Debian:12", ("libssl3", OPENSSL), [ZERO], False),
    ],
)
def test_a_mirror_is_matched_by_each_ecosystems_own_order(
    tmp_path: Path,
    ecosystem: str,
    package: tuple[str, str],
    events: list[dict[str, str]],
    hit: bool,
):
    name, purl = package
    mirror = mirror_of(tmp_path / "osv", ecosystem, record(ecosystem, name, *events))
    sbom = sbom_of(tmp_path, purl, "openssl" if ecosystem == "Debian:12" else "")
    code, out = audit(sbom, "http://127.0.0.1:1", "--strict", mirror=mirror)
    told = f"audited 1 packages at {mirror}: {int(hit)} with known vulnerabilities\n"
    assert (code, out) == (int(hit), (f"{purl}: TEST-1\n" if hit else "") + told)


def test_listed_versions_count_and_withdrawn_records_do_not(tmp_path: Path):
    listed = record("PyPI", "it", versions=["1.0"])
    withdrawn = record("PyPI", "it", ZERO) | {"id": "TEST-2", "withdrawn": "2026-01-01T00:00:00Z"}
    mirror = mirror_of(tmp_path / "osv", "PyPI", listed, withdrawn)
    code, out = audit(sbom_of(tmp_path, "pkg:pypi/it@1.0"), "", mirror=mirror)
    assert (code, out.splitlines()[0]) == (1, "pkg:pypi/it@1.0: TEST-1")


@pytest.mark.parametrize("purl", ["pkg:npm/it@1.0.0", "pkg:cargo/it@1.0.0"])
def test_what_a_mirror_lacks_is_not_audited(tmp_path: Path, purl: str):
    mirror = mirror_of(tmp_path / "osv", "PyPI", record("PyPI", "it", ZERO))
    sbom = sbom_of(tmp_path, purl)
    code, out = audit(sbom, "", mirror=mirror)
    assert (code, out.splitlines()[0]) == (0, f"NOT AUDITED: 1 packages: {purl}")
    assert audit(sbom, "", "--strict", mirror=mirror)[0] == 1
