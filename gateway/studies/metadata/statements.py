"""Statements of a data set on fields of the metadata document, and documents held to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gateway.errors import Fault
from gateway.schemas.result import ResultWarning

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Statement:
    """The statement of a data set on one field.

    Parameters
    ----------
    part
        The sender's name for the file.
    value
        In the document's form; None where the data set does not settle it.
    allowed
        By attribute, as a sentence names it, the values that a document may give beside it. An
        attribute that says nothing plainly is left out.
    choices
        The values that disagreeing attributes name, one of which a document may take.
    missing
        The thing to mend where the document lacks the field; None where there is none.
    settled
        A notice for the sender where the document does give it.
    assumed
        A notice for the sender where it does not.
    """

    part: str
    value: str | None = None
    allowed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    choices: frozenset[str] = frozenset()
    missing: str | None = None
    settled: str | None = None
    assumed: tuple[str, ...] = ()

    def notices(self, *, is_sent: bool) -> tuple[ResultWarning, ...]:
        """Return what the sender should know, with and without the field in a document."""
        if not is_sent:
            return tuple(ResultWarning(pointer=self.part, detail=detail) for detail in self.assumed)
        return (
            () if self.settled is None else (ResultWarning(pointer=self.part, detail=self.settled),)
        )

    def fault(self, name: str, sent: Any) -> Fault | None:
        """Return what is wrong with a document's value; None as the value is a missing one."""
        if sent is None:
            return None if self.missing is None else Fault(f"/{name}", self.missing)
        if sent in self.choices:
            return None
        against = [attribute for attribute, values in self.allowed.items() if sent not in values]
        if not against:
            return None
        return Fault(f"/{name}", f"contradicts {' and '.join(against)} of {self.part}")


def disagreement(
    part: str,
    allowed: Mapping[str, frozenset[str]],
    named: frozenset[str],
    doubts: tuple[str, ...],
) -> Statement:
    """Return what attributes that disagree state of a field: a document has to settle it.

    Parameters
    ----------
    allowed
        By attribute, the values that it leaves open.
    named
        The values that they name, of which the document may take one.
    doubts
        A notice for a sender who does not tell the field.
    """
    attributes = " and ".join(allowed)
    return Statement(
        part,
        None,
        allowed,
        choices=named,
        missing=f"is needed: {attributes} of {part} disagree; name {' or '.join(sorted(named))}",
        settled=f"{attributes} disagree: the metadata document's word is used",
        assumed=doubts,
    )
