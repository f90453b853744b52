"""Files of the secrets that destinations are reached with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.errors import DeliveryUnansweredError

if TYPE_CHECKING:
    from pathlib import Path

_MOST_BYTES = 64 * 1024


def secret_in(path: Path) -> str:
    """Return the text of a file, less the blanks around it. Blocks while it is read.

    Raises
    ------
    DeliveryUnansweredError
        It has none; one that is being renewed can have one a moment later.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES).decode().strip()
    except (OSError, ValueError) as error:
        raise DeliveryUnansweredError("the file of its credentials cannot be read") from error
    if not text or not text.isprintable():
        raise DeliveryUnansweredError("the file of its credentials has none")
    return text
