"""The SBOM names all that the lock pins, and the audit says what it knows and what it does not."""

import http.server
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

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


def audit(sbom: Path, url: str) -> tuple[int, str]:
    ended = subprocess.run(
        [sys.executable, str(ROOT / ".ci" / "audit"), str(sbom)],
        env=os.environ | {"OSV_URL": url, "NO_PROXY": "*"},
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stdout


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
    assert (code, out[:12]) == (0, "NOT AUDITED:")
