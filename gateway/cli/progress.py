"""Progress of long commands on the terminal: how many are done, how fast, and the time left."""

from __future__ import annotations

import datetime as dt
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

T = TypeVar("T")

_CLEARED_LINE = "\r\x1b[K"


class Progress:
    """A count of what is done, with a bar where a person looks on.

    Parameters
    ----------
    bar
        Click's bar; None shows nothing.
    length
        Number of steps; None where it is not known.
    """

    def __init__(self, bar: Any = None, length: int | None = None) -> None:
        self._bar = bar
        self._length = length
        self._began = time.monotonic()
        self._done = 0

    def step(self, count: int = 1) -> None:
        """Count what was done since the last step."""
        self._done += count
        if self._bar is not None:
            self._bar.update(count, current_item=self._pace())

    def over(self, items: Iterable[T]) -> Iterator[T]:
        """Yield the items, each of which is a step."""
        for item in items:
            self.step()
            yield item

    def echo(self, text: str, *, err: bool = False) -> None:
        """Print a line in the place of the bar, which the next step draws anew below it."""
        if self._bar is not None:
            click.echo(_CLEARED_LINE, nl=False, err=True)
        click.echo(text, err=err)

    def _pace(self) -> str:
        """Return the rate and the time left; click's own estimate has no rate."""
        rate = self._done / max(time.monotonic() - self._began, 1e-3)
        if self._length is None:
            return f"{rate:,.1f}/s"
        left = dt.timedelta(seconds=round(max(0, self._length - self._done) / rate))
        return f"{rate:,.1f}/s, {left} left"


@contextmanager
def progress(label: str, length: int | None) -> Iterator[Progress]:
    """Yield the progress of so many steps, shown where the standard error is a terminal.

    Parameters
    ----------
    length
        Number of steps; None where it is not known: then there is no time left to tell.
    """
    if length in {0, 1} or not sys.stderr.isatty():
        yield Progress()
        return
    with click.progressbar(
        (None for _ in range(length or 0)),  # of no length by itself
        length=length,
        label=label,
        show_pos=True,
        show_eta=False,
        show_percent=length is not None,
        item_show_func=lambda rate: rate,
        file=sys.stderr,
    ) as bar:
        yield Progress(bar, length)
