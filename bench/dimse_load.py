"""HTTP beside DICOM: the time of posted studies, and the event loop's, with senders at work.

    python -m bench.dimse_load                      # three rounds, two minutes each

`radstream up` serves the reference model. First it is asked how many studies it does a second, 16
at a time; then a fifth of that is posted (radiographs of 1.4 MB, with the gaps of a Poisson
process), by turns alone and beside four associations that store instances of 2 MB as fast as they
are answered. What they store is processed meanwhile, and to its end between the phases. It measures
and judges nothing.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import httpx
from pydicom.dataset import Dataset

from bench.results import PLACE, ROOT
from bench.serving.processes import Server, free_port, generated, running
from bench.serving.targets import gateway_environment
from bench.serving.work import large_file
from tests.support.dimse import encoded, secondary_capture
from tests.support.dimse_wire import WireSender
from tests.support.gateway import metric

SENDERS = 4
AT_ONCE = 16
SHARE = 0.2
SETTLED_S = 300.0
_LAG = "radstream_event_loop_lag_seconds"


def send_for_ever(port: int) -> None:
    """Store instances of studies of their own, one after another on each association."""
    picture = cv2.imread(str(large_file()), cv2.IMREAD_GRAYSCALE)
    pixels = (cv2.resize(picture, (1024, 1024)).astype("uint16") * 16).tobytes()

    def send() -> None:
        with WireSender(port) as sender:
            while True:
                dataset = _radiograph(pixels)
                sender.store(dataset.SOPInstanceUID, encoded(dataset))

    threads = [threading.Thread(target=send) for _ in range(SENDERS)]
    for thread in threads:
        thread.start()


def _radiograph(pixels: bytes) -> Dataset:
    dataset = secondary_capture()
    dataset.Rows = dataset.Columns = 1024
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelData = pixels
    return dataset


@contextmanager
def _sending(port: int) -> Iterator[None]:
    command = [sys.executable, "-m", "bench.dimse_load", "--send-to", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _posted(server: Server, studies: int, *how: str) -> list[float]:
    """Return the sorted seconds of so many studies."""
    told = generated(
        *("bench.serving.load", server.url, "/v1/studies", "multipart", str(large_file())),
        *("--studies", str(studies), *how),
    )
    assert set(told["statuses"]) == {"200"}, told["statuses"]
    return sorted(told["seconds"])


def _phase(name: str, server: Server, rate: float, seconds: float) -> float:
    """Post studies, print how they fared, and return the 95th percentile in ms."""
    before, cpu_s, began = _metrics(server), server.cpu_s(), time.monotonic()
    taken = _posted(server, round(rate * seconds), "--rate", str(rate))
    took_s, cpu_s, after = time.monotonic() - began, server.cpu_s() - cpu_s, _metrics(server)

    def grown(sample: str, **labels: str) -> float:
        return metric(after, sample, **labels) - metric(before, sample, **labels)

    looks = grown(f"{_LAG}_count")
    stored = grown("radstream_dimse_instances_total", status="0000")
    p95_ms = taken[int(len(taken) * 0.95)] * 1000
    print(
        f"{name:16} HTTP p50 {statistics.median(taken) * 1000:5.1f} ms, p95 {p95_ms:5.1f} ms; "
        f"event loop {grown(f'{_LAG}_sum') / looks * 1000:5.2f} ms late, "
        f"{grown(f'{_LAG}_bucket', le='0.01') / looks:6.1%} within 10 ms; "
        f"CPU {cpu_s / took_s:5.0%}; "
        f"{stored / took_s:5.1f} instances a second"
    )
    return p95_ms


def _metrics(server: Server) -> str:
    return httpx.get(f"{server.url}/metrics", trust_env=False).text


def _settle(server: Server) -> None:
    """Return once all that was stored is processed."""
    for _ in range(int(SETTLED_S)):
        query = {"state": "pending", "limit": "1"}
        answer = httpx.get(f"{server.url}/v1/studies", params=query, trust_env=False)
        if not answer.raise_for_status().json()["studies"]:
            return
        time.sleep(1)
    raise TimeoutError("what was stored is not processed")


def measure(seconds: float, rounds: int) -> None:
    """Measure, and print a line for each phase and the medians of the rounds."""
    port, dimse_port = free_port(), free_port()
    PLACE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        environment = gateway_environment(port, Path(name), ROOT / "model_repository") | {
            "RADSTREAM_DIMSE__LISTEN": "true",
            "RADSTREAM_DIMSE__PORT": str(dimse_port),
        }
        command = [sys.executable, "-m", "gateway", "up"]
        log = PLACE / "dimse_load.log"
        with running(command, port, ready="/readyz", cwd=ROOT, env=environment, log=log) as server:
            _posted(server, 2 * AT_ONCE, "--concurrency", str(AT_ONCE))
            began, studies = time.monotonic(), 10 * AT_ONCE
            _posted(server, studies, "--concurrency", str(AT_ONCE))
            rate = SHARE * studies / (time.monotonic() - began)
            print(f"{rate:.1f} studies a second are posted, {SHARE:.0%} of what it does")
            alone, beside = [], []
            for _ in range(rounds):
                alone.append(_phase("alone", server, rate, seconds))
                with _sending(dimse_port):
                    beside.append(_phase(f"{SENDERS} senders", server, rate, seconds))
                _settle(server)
    first, second = statistics.median(alone), statistics.median(beside)
    print(f"p95 of the medians: {first:.1f} ms alone, {second:.1f} ms beside, {second / first:.2f}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, or send."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--send-to", type=int, metavar="PORT", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.send_to:
        send_for_ever(options.send_to)
    else:
        measure(options.seconds, options.rounds)


if __name__ == "__main__":
    main()
