import fcntl
import signal
import struct
import termios
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import imagecodecs
import numpy as np
import psutil
import pytest
from pydicom.uid import JPEGBaseline8Bit, JPEGLSLossless

from preprocess import (
    CorruptImageError,
    DecodeTimeoutError,
    DecodeWorkers,
    Limits,
    decode,
)
from preprocess.workers import is_risky
from tests.preprocess import dicoms
from tests.preprocess.pngs import ramp, write
from tests.preprocess.processes import PICTURE, alive, jpeg_ls

if TYPE_CHECKING:
    import subprocess


def slow_file() -> bytes:
    """JPEG 2000 of four megapixels of noise, a tile repeated: half a second's work and more."""
    tile = np.random.default_rng(8).integers(0, 65536, (256, 256), np.uint16)
    one = imagecodecs.jpeg2k_encode(tile, level=0, codecformat="j2k", reversible=True)
    start = one.index(b"\xff\x90")
    side, size = 2048, (2048).to_bytes(4)
    head = bytearray(one[:start])
    head[8:16] = size + size
    parts = bytearray()
    for index in range((side // 256) ** 2):
        part = bytearray(one[start:-2])
        part[4:6] = index.to_bytes(2)
        parts += part
    samples = np.zeros((1, 1), np.uint16)
    dataset = dicoms.compressed(samples, bytes(head + parts) + b"\xff\xd9", Rows=side, Columns=side)
    return dicoms.write(dataset, "1.2.840.10008.1.2.4.90")


def process_of(pool: DecodeWorkers) -> "subprocess.Popen[bytes] | None":
    return pool._workers[0]._process


def started(pool: DecodeWorkers) -> "subprocess.Popen[bytes]":
    """A process that has answered, however short the pool's own time is."""
    pool._workers[0].start()
    process = process_of(pool)
    assert process is not None
    return process


def unread_bytes(process: "subprocess.Popen[bytes]") -> int:
    """Bytes of requests that lie in the process's pipe."""
    with open(f"/proc/{process.pid}/fd/0", "rb", buffering=0) as pipe:  # noqa: PTH123  # no pathlib for a pipe
        (count,) = struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))
    return int(count)


def test_only_codecs_that_may_run_away_are_risky(radiograph):
    limits = Limits()
    assert is_risky(jpeg_ls(), limits)
    assert not is_risky(radiograph, limits)
    assert not is_risky(write(ramp(4, 4)), limits)
    assert not is_risky(dicoms.write(dicoms.image(PICTURE)), limits)


def test_a_risky_codec_under_another_name_is_refused():
    codestream = imagecodecs.jpegls_encode(PICTURE)
    data = dicoms.write(dicoms.compressed(PICTURE, codestream), JPEGBaseline8Bit)
    assert not is_risky(data, Limits())
    with pytest.raises(CorruptImageError):
        decode(data)


def test_frames_are_those_of_decode(workers):
    two = np.concatenate([PICTURE, PICTURE[::-1]])
    streams = [imagecodecs.jpegls_encode(part) for part in np.split(two, 2)]
    dataset = dicoms.compressed(PICTURE, *streams, NumberOfFrames=2, BitsStored=16)
    data = dicoms.write(dataset, JPEGLSLossless)
    for ours, theirs in zip(workers.decode(data), decode(data), strict=True):
        np.testing.assert_array_equal(ours.samples, theirs.samples)
        assert ours.samples.dtype == theirs.samples.dtype
        assert (ours.bits_stored, ours.rows, ours.columns) == (16, 70, 90)


def test_warnings_come_with_the_frames(workers):
    data = jpeg_ls(WindowCenter="100", WindowWidth="0")
    (frame,) = workers.decode(data)
    assert frame.warnings == ("Window Width (0028,1051) is not usable and was taken as absent",)


def test_a_process_is_used_again(workers):
    workers.decode(jpeg_ls())
    first = process_of(workers)
    workers.decode(jpeg_ls())
    assert process_of(workers) is first


def test_what_is_not_risky_needs_no_process(radiograph):
    with DecodeWorkers() as pool:
        assert pool.decode(radiograph)[0].rows == 712
        assert process_of(pool) is None


@pytest.mark.filterwarnings("ignore:Unknown encoding")  # it is read here, too
def test_what_a_codec_prints_or_warns_of_is_told_without_its_words(
    caplog: pytest.LogCaptureFixture,
):
    standard = "ISO_IR 192"  # as long as what stands in its place: a name that no set has
    window = {"WindowCenter": 900, "WindowWidth": 2000, "VOILUTFunction": "SIGMOID"}
    foreign = jpeg_ls(SpecificCharacterSet=standard, **window)
    with DecodeWorkers() as pool:  # which no other file has passed through
        for data in (jpeg_ls(), foreign.replace(standard.encode(), b"MUSTERMANN")):
            pool.decode(data)
    told = [record.message for record in caplog.records if record.name == "preprocess.workers"]
    assert told == ["a codec complained of a file"]


def test_a_slow_decode_is_stopped_for_real_and_the_next_one_served():
    with DecodeWorkers(timeout_s=0.05) as pool:
        process = started(pool)
        with pytest.raises(DecodeTimeoutError) as caught:
            pool.decode(slow_file())
        assert caught.value.limit_s == 0.05
        assert not alive(process.pid)
        started(pool)


def test_the_start_of_a_process_takes_no_time_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "sitecustomize.py").write_text("import time\ntime.sleep(5)\n")  # a busy machine
    monkeypatch.syspath_prepend(str(tmp_path))
    with DecodeWorkers(timeout_s=4.5) as pool:
        np.testing.assert_array_equal(pool.decode(jpeg_ls())[0].samples, PICTURE)


def test_the_time_that_the_caller_has_left_counts():
    with DecodeWorkers(timeout_s=30) as pool:
        with pytest.raises(DecodeTimeoutError) as caught:
            pool.decode(slow_file(), timeout_s=0.04)
        assert caught.value.limit_s == 0.04


def test_a_process_that_dies_costs_one_file():
    with DecodeWorkers() as pool:
        pool.decode(jpeg_ls())
        process = process_of(pool)
        assert process is not None
        process.send_signal(signal.SIGSTOP)  # so that it dies within the request
        while psutil.Process(process.pid).status() != psutil.STATUS_STOPPED:
            time.sleep(0)
        failed: list[BaseException] = []

        def ask() -> None:
            try:
                pool.decode(jpeg_ls())
            except CorruptImageError as error:
                failed.append(error)

        caller = threading.Thread(target=ask)
        caller.start()
        while not unread_bytes(process):  # before that it would die idle, and be replaced
            time.sleep(0)
        process.kill()
        caller.join()
        assert pool.busy == 0
        assert len(failed) == 1
        np.testing.assert_array_equal(pool.decode(jpeg_ls())[0].samples, PICTURE)


def test_a_process_that_died_idle_is_replaced():
    with DecodeWorkers() as pool:
        pool.decode(jpeg_ls())
        process = process_of(pool)
        assert process is not None
        process.kill()
        process.wait()
        np.testing.assert_array_equal(pool.decode(jpeg_ls())[0].samples, PICTURE)


def test_threads_share_the_pool(workers):
    data, results = jpeg_ls(), []
    callers = [
        threading.Thread(target=lambda: results.append(workers.decode(data))) for _ in range(6)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(results) == 6
    assert all(np.array_equal(frames[0].samples, PICTURE) for frames in results)


def test_closing_leaves_no_process():
    pool = DecodeWorkers()
    pool.decode(jpeg_ls())
    process = process_of(pool)
    assert process is not None
    pool.close()
    assert not alive(process.pid)
