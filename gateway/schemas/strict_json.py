"""Strict JSON: what the grammar allows, less what has two meanings or could not be kept.

Not pydantic's parser nor the `json` module as it is: of a name given twice both keep the last, and
both take NaN.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import TYPE_CHECKING, Any, NoReturn

from gateway.errors import Fault, InvalidMetadataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Location = tuple[int | str, ...]

# pydantic writes 255 levels and reads 200; what is kept of a document lies a few levels down.
_LEVELS = 64


class _Object(dict[str, Any]):
    """A JSON object that remembers which of its names stood there more than once."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.repeated: tuple[str, ...] = ()
        if len(self) < len(pairs):
            counts = Counter(name for name, _ in pairs)
            self.repeated = tuple(name for name, count in counts.items() if count > 1)


def parse_json(document: bytes) -> Any:
    """Return the value in a JSON document that can be written, and read, again.

    Parameters
    ----------
    document
        UTF-8 (RFC 8259, section 8.1), with or without a byte order mark.

    Raises
    ------
    InvalidMetadataError
        It is no JSON; or, with every such fault and its JSON pointer, it holds a name twice in one
        object, an unpaired surrogate, a number beyond a double, or more than 64 levels.
    """
    try:
        value = json.loads(
            document.decode("utf-8-sig"),
            object_pairs_hook=_Object,
            parse_constant=lambda name: _refuse(f"{name} is not JSON (RFC 8259, section 6)"),
        )
    except UnicodeDecodeError as error:
        _refuse(f"must be UTF-8: byte {error.start} is not", error)
    except RecursionError as error:
        _refuse(f"is nested deeper than {_LEVELS} levels", error)
    except json.JSONDecodeError as error:
        fault = error.msg.removesuffix(" at")  # the end of some of them
        _refuse(f"is not JSON: {fault} at line {error.lineno}, column {error.colno}", error)
    except ValueError as error:  # CPython reads no integer of more than 4300 digits
        _refuse("holds a number out of range", error)
    if faults := tuple(_faults(value, ())):
        raise InvalidMetadataError(faults)
    return value


def pointer(location: Location) -> str:
    """Return the JSON pointer (RFC 6901) of the names and indices that lead to a value."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in location)


def _refuse(detail: str, cause: Exception | None = None) -> NoReturn:
    raise InvalidMetadataError((Fault("", detail),)) from cause


def _faults(value: Any, location: Location) -> Iterator[Fault]:
    if isinstance(value, str):
        if not _is_text(value):
            yield Fault(pointer(location), "must not hold unpaired surrogates")
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield Fault(pointer(location), "is a number out of range")
    elif isinstance(value, list | _Object):
        if len(location) >= _LEVELS:
            yield Fault(pointer(location), f"is nested deeper than {_LEVELS} levels")
            return
        if isinstance(value, _Object):
            yield from _name_faults(value, location)
        items: Iterable[tuple[int | str, Any]] = (
            value.items() if isinstance(value, _Object) else enumerate(value)
        )
        for step, item in items:
            if isinstance(step, int) or _is_text(step):
                yield from _faults(item, (*location, step))


def _name_faults(value: _Object, location: Location) -> Iterator[Fault]:
    if not all(map(_is_text, value)):
        yield Fault(pointer(location), "has a name that holds unpaired surrogates")
    for name in filter(_is_text, value.repeated):
        yield Fault(pointer((*location, name)), "stands twice in one object")


def _is_text(value: str) -> bool:
    """Return whether UTF-8 can hold it, unlike an unpaired surrogate that JSON escapes can make."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
