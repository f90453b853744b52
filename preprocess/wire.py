"""Messages between the pool and its decode processes: a line of JSON, then raw bytes.

Nothing is unpickled: a codec that was taken over through a file must not reach the caller.
"""

import json
from dataclasses import asdict
from typing import Any

import numpy as np

from preprocess import errors
from preprocess.types import Frame, Limits

HEAD_BYTES = 1 << 16
"""Longest line of JSON."""

_DTYPES: dict[str, type[np.uint8 | np.uint16]] = {"uint8": np.uint8, "uint16": np.uint16}

_ERRORS = {
    kind.__name__: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.PreprocessError)
}


def pack_request(
    body_bytes: int, limits: Limits, at_least: tuple[int, int] | None, timeout_s: float
) -> bytes:
    """Return the line that goes before the bytes of a file."""
    return _line(
        body_bytes=body_bytes, limits=asdict(limits), at_least=at_least, timeout_s=timeout_s
    )


def pack_frames(frames: tuple[Frame, ...]) -> bytes:
    """Return the line that goes before the samples of all frames."""
    return _line(
        frames=[
            {
                "shape": frame.samples.shape,
                "dtype": frame.samples.dtype.name,
                "bits_stored": frame.bits_stored,
                "rows": frame.rows,
                "columns": frame.columns,
                "reduction": frame.reduction,
                "overhang": frame.overhang,
            }
            for frame in frames
        ],
        warnings=frames[0].warnings,  # the same for all
    )


def pack_error(error: errors.PreprocessError) -> bytes:
    """Return the line that stands for an error."""
    return _line(error=type(error).__name__, fields=vars(error))


def pack_end(*, complained: bool) -> bytes:
    """Return the line behind an answer: True in it if a codec or a library printed or warned."""
    return _line(complained=complained)


def unpack_frames(head: dict[str, Any], limits: Limits) -> tuple[Frame, ...]:
    """Return frames of the announced shapes, their samples still to be read into.

    Raises
    ------
    ValueError
        More is announced than was asked for.
    """
    announced = head["frames"]
    shapes = [tuple(int(length) for length in frame["shape"]) for frame in announced]
    if any(len(shape) != 2 for shape in shapes) or sum(r * c for r, c in shapes) > limits.pixels:
        raise ValueError("more pixels than the limits allow")
    return tuple(
        Frame(
            np.empty(shape, _DTYPES[frame["dtype"]]),
            int(frame["bits_stored"]),
            rows=int(frame["rows"]),
            columns=int(frame["columns"]),
            warnings=tuple(str(sentence) for sentence in head["warnings"]),
            reduction=int(frame["reduction"]),
            overhang=(float(frame["overhang"][0]), float(frame["overhang"][1])),
        )
        for frame, shape in zip(announced, shapes, strict=True)
    )


def unpack_error(head: dict[str, Any]) -> errors.PreprocessError:
    """Return the error of a line."""
    kind = _ERRORS[head["error"]]
    error = kind.__new__(kind)
    error.args = (head["fields"]["reason"],)
    vars(error).update(head["fields"])
    return error


def _line(**fields: object) -> bytes:
    return json.dumps(fields).encode() + b"\n"
