"""Parameters of a rendered picture (PS3.18, 8.3.5)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from gateway.errors import MalformedRequestError, NotAcceptableError
from gateway.pictures.rendering import JPEG, PNG, RenderedView, ViewWindow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.dicomweb.accepted_types import AcceptedType

_FUNCTIONS = {"linear": "LINEAR", "linear-exact": "LINEAR_EXACT", "sigmoid": "SIGMOID"}
_MOST_PIXELS = 16384


class RenderedParameters(BaseModel):
    """Parameters of a rendered picture."""

    model_config = ConfigDict(frozen=True)

    quality: str = Field("90", max_length=3, description="Of a JPEG, 1 to 100.")
    viewport: str | None = Field(
        None, max_length=64, description="Width and height that it is to fit in: `512,512`."
    )
    window: str | None = Field(
        None,
        max_length=96,
        description="Center, width and function of the window, such as `600,1600,linear`; without "
        "it the picture is what the model saw.",
    )


RenderedQuery = Annotated[RenderedParameters, Query()]


def view_of(query: RenderedParameters, accepted: Sequence[AcceptedType]) -> RenderedView:
    """Return the picture that is asked for.

    Raises
    ------
    MalformedRequestError
    NotAcceptableError
    """
    ordered = (each for each in accepted for kind in (JPEG, PNG) if each.takes(kind))
    chosen = next(ordered, None)
    if chosen is None:
        raise NotAcceptableError(f"{JPEG} or {PNG}")
    media_type = JPEG if chosen.takes(JPEG) else PNG
    if not query.quality.isdecimal() or not 1 <= int(query.quality) <= 100:  # noqa: PLR2004 - per cent
        raise _malformed("quality", "a number from 1 to 100")
    return RenderedView(
        media_type, int(query.quality), _size(query.viewport), _window(query.window)
    )


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    numbers = text.split(",")
    if len(numbers) != 2 or not all(each.isdecimal() for each in numbers):  # noqa: PLR2004 - width, height
        raise _malformed("viewport", "width and height; parts of a picture are not cut out")
    width, height = map(int, numbers)
    if not (1 <= width <= _MOST_PIXELS and 1 <= height <= _MOST_PIXELS):
        raise _malformed("viewport", f"width and height from 1 to {_MOST_PIXELS}")
    return width, height


def _window(text: str | None) -> ViewWindow | None:
    if text is None:
        return None
    try:
        center, width, *function = text.split(",")
        [name] = function or ["linear"]
        window = ViewWindow(float(center), float(width), _FUNCTIONS[name.lower()])
    except (ValueError, KeyError):
        window = None
    if window is None or not math.isfinite(window.center) or not 1 <= window.width < math.inf:
        raise _malformed(
            "window", "center, width of 1 or more, and linear, linear-exact or sigmoid"
        )
    return window


def _malformed(parameter: str, wanted: str) -> MalformedRequestError:
    return MalformedRequestError(f"The parameter {parameter} takes {wanted}.")
