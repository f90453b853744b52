"""Answers of DICOM applications that take no association."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pynetdicom.pdu_primitives import A_ASSOCIATE

if TYPE_CHECKING:
    from pynetdicom.association import Association


def rejection_of(association: Association) -> A_ASSOCIATE | None:
    """Return the answer by which an application rejected an association; None without one.

    Notes
    -----
    pynetdicom looks whether the connection stands before it looks for an answer. One that rejects
    and hangs up before that is taken for one that could not be reached; its answer is left over.
    """
    if association.is_rejected:
        return association.acceptor.primitive
    answer: object = association.dul.receive_pdu()
    return answer if isinstance(answer, A_ASSOCIATE) and answer.result else None
