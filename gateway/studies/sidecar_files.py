"""Sidecars of files in folders of one machine, named as in the drop folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.errors import Fault, InvalidMetadataError

if TYPE_CHECKING:
    from pathlib import Path

ENDING = ".json"


def sidecars_of(image: Path) -> list[Path]:
    """Return the sidecars that lie beside an image: ``front.json`` and ``front.jpg.json``.

    A name without an ending, or with a number as its last part (``1.2.3``), is kept whole.
    """
    whole = not image.suffix or image.suffix[1:].isdecimal()
    names = dict.fromkeys((image.name if whole else image.stem, image.name))
    named = (image.with_name(name + end) for name in names for end in (ENDING, ENDING.upper()))
    return [path for path in named if path.exists() and path != image]


def sidecar_of(image: Path) -> Path | None:
    """Return the sidecar beside an image; None where there is none.

    Raises
    ------
    InvalidMetadataError
        There are two, which may say different things.
    """
    found = sidecars_of(image)
    if any(not path.samefile(found[0]) for path in found):  # one, where case does not count
        raise InvalidMetadataError((Fault("", "has two sidecars: remove one of them"),))
    return next(iter(found), None)
