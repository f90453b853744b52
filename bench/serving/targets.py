"""Servers that are measured: RadStream by its routes, and others doing the same job."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.results import PLACE, ROOT
from bench.serving.densenet import write_folder
from bench.serving.processes import Server, free_port, running
from gateway.models.build import newest_version

_PEERS = Path(__file__).parent / "peers"
_PLACE = PLACE / "serving"
_PYTHON = _PLACE / "peers" / "bin" / "python"


def prepare_peers() -> None:
    """Make the peers' environment, unless it is there."""
    if not _PYTHON.exists():
        subprocess.run([sys.executable, "-m", "venv", _PLACE / "peers"], check=True)
        lock = _PEERS / "requirements.txt"
        command = [_PYTHON, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
        subprocess.run([*command, "--requirement", lock], check=True)


def prepare_models() -> None:
    """Make the model repositories anew: what they are copies of may have changed."""
    models = _PLACE / "models"
    shutil.rmtree(models, ignore_errors=True)
    reference = models / "cxr_pneumonia"
    shutil.copytree(ROOT / "model_repository" / "cxr_pneumonia", reference / "cxr_pneumonia")
    # The same model, whose contract lets a JPEG be decoded at an eighth.
    scaled = models / "scaled"
    shutil.copytree(reference, scaled)
    config = scaled / "cxr_pneumonia" / "config.pbtxt"
    text, count = re.subn(r'"jpeg_reduction": \d', '"jpeg_reduction": 8', config.read_text())
    assert count  # one for each version that states its own
    config.write_text(text)
    write_folder(models / "densenet121")


def repository(name: str) -> Path:
    """One of the model repositories: `cxr_pneumonia`, `scaled` or `densenet121`."""
    return _PLACE / "models" / name


def _served(folder: Path) -> Path:
    """The file of the version that Triton serves: the peers run what RadStream runs."""
    return folder / newest_version(folder) / "model.onnx"


@dataclass(frozen=True)
class Target:
    """A server and how it is asked."""

    name: str
    kind: str = "multipart"
    model: str = "cxr_pneumonia"
    draft: bool = False
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def repository(self) -> Path:
        """The model repository it serves."""
        scaled = self.draft and self.name.startswith("radstream")
        return repository("scaled" if scaled else self.model)

    @property
    def title(self) -> str:
        """For tables."""
        return f"{self.name}, scaled decoding" if self.draft else self.name

    @contextlib.contextmanager
    def running(self) -> Iterator[Server]:
        """The server; what it stores goes with it."""
        port = free_port()
        log = _PLACE / f"{self.name.split(',')[0]}.log"
        model = _served(self.repository / self.model)
        with tempfile.TemporaryDirectory(dir=_PLACE) as folder:
            environment = {"DRAFT": "1" if self.draft else "0", "MODEL": str(model)}
            environment |= {"NAME": self.model, "PORT": str(port)}
            with contextlib.ExitStack() as stack:
                if self.name.startswith("radstream"):
                    command = [sys.executable, "-m", "gateway", "up"]
                    environment |= gateway_environment(port, Path(folder), self.repository)
                    environment |= self.settings
                    ready, cwd = "/readyz", ROOT
                else:
                    command, ready, cwd = self._peer(port), _READY[self.name], _PEERS
                    if self.name in _NEED_TRITON:
                        command = [
                            *(sys.executable, "-m", "bench.serving.with_triton"),
                            *(str(self.repository), str(_PEERS), *command),
                        ]
                        cwd = ROOT
                server = stack.enter_context(
                    running(command, port, ready=ready, cwd=cwd, env=environment, log=log)
                )
                yield server

    def _peer(self, port: int) -> list[str]:
        cores = str(os.cpu_count())
        uvicorn = ["-m", "uvicorn", "--host", "127.0.0.1", "--port", str(port), "--log-level"]
        commands = {
            "plain FastAPI": [*uvicorn, "warning", "plain_fastapi:app"],
            "prototype's way": [*uvicorn, "warning", "prototype:app"],
            "LitServe": ["litserve_server.py"],
            "BentoML": ["-m", "bentoml", "serve", "bentoml_service:Reader", "--port", str(port)],
        }
        if self.name in _NEED_TRITON:
            commands[self.name] += ["--workers", cores]
        return [str(_PYTHON), *commands[self.name]]


_READY = {
    "plain FastAPI": "/docs",
    "prototype's way": "/docs",
    "LitServe": "/health",
    "BentoML": "/readyz",
}
_NEED_TRITON = {"plain FastAPI", "prototype's way"}


def gateway_environment(port: int, folder: Path, repository: Path) -> dict[str, str]:
    """Settings of a gateway that keeps everything under the folder."""
    return {
        "RADSTREAM_HTTP__PORT": str(port),
        "RADSTREAM_TRITON__MODEL_REPOSITORY": str(repository),
        "RADSTREAM_STORE__FOLDER": str(folder / "store"),
        "RADSTREAM_DROPFOLDER__WATCH": "false",
        "RADSTREAM_ADMISSION__STUDIES": "200",  # one caller sends all, and is to be refused nothing
        "RADSTREAM_AUDIT__FOLDER": str(folder / "audit"),
        "RADSTREAM_TELEMETRY__FOLDER": str(folder / "telemetry"),
        "RADSTREAM_TELEMETRY__SPOOL_FOLDER": str(folder / "spool"),
    }


@contextlib.contextmanager
def running_gateway(triton_url: str, model: str, folder: Path, **settings: str) -> Iterator[Server]:
    """A gateway before a Triton that serves the model; it keeps everything under the folder."""
    port = free_port()
    environment = gateway_environment(port, folder, repository(model)) | {
        "RADSTREAM_TRITON__URL": triton_url,
        "RADSTREAM_TRITON__SHARED_MEMORY_BYTES": str(32 * 2**20),  # as `radstream up` has it
    }
    with running(
        [sys.executable, "-m", "gateway", "serve"],
        port,
        ready="/readyz",
        cwd=ROOT,
        env=environment | settings,
        log=_PLACE / "gateway.log",
    ) as gateway:
        yield gateway


def floor(model: str, image: Path, studies: int, decoder: str, *, draft: bool) -> dict[str, float]:
    """CPU and wall seconds of the bare loop."""
    path = _served(repository(model) / model)
    environment = os.environ | {"MODEL": str(path), "DRAFT": "1" if draft else "0"}
    told = subprocess.run(
        [_PYTHON, "floor.py", str(image), str(studies), decoder],
        cwd=_PEERS,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    seconds: dict[str, float] = json.loads(told.stdout)
    return seconds
