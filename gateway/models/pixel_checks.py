"""Checks of a picture's pixels against a contract, which need no model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from preprocess import grey_shares

if TYPE_CHECKING:
    from gateway.schemas.contract import Contract
    from preprocess import Frame, GreyRange


def unaccepted_pixels(contract: Contract, frame: Frame, shown: GreyRange) -> str | None:
    """Return why a model was not made for such a picture; None where it may be.

    Parameters
    ----------
    frame
        Not changed.
    shown
        The values of it that are black and white to the model.
    """
    pixels = contract.accepts.pixels
    if pixels is None:
        return None
    if frame.rows < pixels.least_rows or frame.columns < pixels.least_columns:
        return (
            f"was made for pictures of {pixels.least_rows} x {pixels.least_columns} pixels or more"
        )
    shares = grey_shares(frame, shown, contract.input.intensity.spec())
    if shares.contrast < pixels.least_contrast:
        return f"was made for pictures with a contrast of {pixels.least_contrast:g} or more"
    for colour, share, most in (
        ("black", shares.black, pixels.most_black),
        ("white", shares.white, pixels.most_white),
    ):
        if share > most:
            return f"was made for pictures of which {100 * most:g} % or less is {colour}"
    return None
