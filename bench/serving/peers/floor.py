"""The floor: decode, resize and read in a bare loop, with as many threads as cores.

    python floor.py IMAGE STUDIES DECODER

DECODER is `simplejpeg` (libjpeg-turbo, what the gateway uses) or `pillow`. Prints JSON: wall and
CPU seconds, after a warm-up.
"""

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import simplejpeg
from PIL import Image
from reading import findings, session, tensor


def _tensor(data: bytes) -> np.ndarray:
    grey = simplejpeg.decode_jpeg(data, colorspace="GRAY")[:, :, 0]
    small = Image.fromarray(grey).resize((224, 224), Image.Resampling.BILINEAR)
    return (np.asarray(small, dtype=np.float32) / 255.0)[None, None]


def main() -> None:
    """Run the loop."""
    data = Path(sys.argv[1]).read_bytes()
    studies = int(sys.argv[2])
    decode = _tensor if sys.argv[3] == "simplejpeg" else tensor
    threads = os.cpu_count() or 1
    sessions = [session() for _ in range(threads)]

    def loop(index: int) -> None:
        for _ in range(studies // threads):
            findings(sessions[index].run(["logits"], {"image": decode(data)})[0])

    with ThreadPoolExecutor(threads) as pool:
        for index in range(threads):
            findings(sessions[index].run(["logits"], {"image": decode(data)})[0])
        wall, cpu = time.perf_counter(), time.process_time()
        list(pool.map(loop, range(threads)))
        done = studies // threads * threads
        print(
            json.dumps(
                {
                    "studies": done,
                    "wall_s": time.perf_counter() - wall,
                    "cpu_s": time.process_time() - cpu,
                }
            )
        )


if __name__ == "__main__":
    main()
