"""Messages and transactions that tell a destination of a study in its present state.

Results under an identity that turned out to be wrong are withdrawn first. The
study's document lists what each destination got, by its identifiers.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

from gateway.renderings.fhir_transaction import fhir_transaction, report_identifiers
from gateway.renderings.oru import control_id, oru_message
from gateway.renderings.revisions import MAY_HAVE
from gateway.renderings.words import Withdrawal
from gateway.results.deliveries import brought, identities_told
from gateway.schemas.result import DeliveryState, RenderingKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom.dataset import Dataset

    from gateway.renderings.fhir import IdentifierSystems, Release
    from gateway.results.documents import StudyRecord
    from gateway.schemas.hl7 import MessageForm
    from gateway.schemas.result import StudyResult

_HAS = frozenset({DeliveryState.ACKNOWLEDGED, DeliveryState.CONFIRMED})


def oru_messages(
    record: StudyRecord,
    result: StudyResult,
    header: Dataset | None,
    form: MessageForm,
    destination: str,
    *,
    deletions: int = 0,
    is_deleted: bool = False,
) -> Iterator[tuple[str, bytes]]:
    """Yield the HL7 v2 messages for a destination, in order, each with its control ID.

    Parameters
    ----------
    record, result
        The study's record, and its view.
    header
        See `oru_message`.
    form
        Form of the destination's messages.
    destination
        Its name.
    deletions
        Number of deletions of the study before.
    is_deleted
        True of a study that is deleted: what the destination was told is withdrawn.
    """
    wrong = Withdrawal.WRONG_PATIENT
    numbers = identities_told(record, destination, RenderingKind.ORU, MAY_HAVE)
    withdrawals = {
        control_id(result, identity, wrong, deletions): identity
        for number, identity in enumerate(record.former)
        if identity != record.identity and number in numbers
    }
    told = brought(record, destination, RenderingKind.ORU, MAY_HAVE)
    done = brought(record, destination, RenderingKind.ORU, _HAS)
    due = {uid: identity for uid, identity in withdrawals.items() if uid not in done}
    say = partial(oru_message, result, header=header, form=form, deletions=deletions)
    for uid, identity in due.items():
        yield uid, say(identity=identity, withdrawal=wrong)
    if is_deleted:
        if len(record.former) in numbers:
            uid = control_id(result, record.identity, Withdrawal.DELETED, deletions)
            yield uid, say(identity=record.identity, withdrawal=Withdrawal.DELETED)
        return
    own = control_id(result, record.identity, None, deletions)
    before = [uid for uid in told if uid != own and uid not in withdrawals]
    replaces = before[-1] if before and not due else None
    yield own, say(identity=record.identity, replaces=replaces)


def fhir_transactions(
    record: StudyRecord,
    result: StudyResult,
    systems: IdentifierSystems,
    release: Release,
    destination: str,
    *,
    is_deleted: bool = False,
) -> Iterator[tuple[str, bytes]]:
    """Yield the FHIR transactions for a destination, in order, each with its identifier.

    Parameters
    ----------
    record, result, destination, is_deleted
        See `oru_messages`.
    systems, release
        See `fhir_transaction`.
    """
    identities = [*record.former, record.identity]
    told = identities_told(record, destination, RenderingKind.FHIR, MAY_HAVE)
    done = brought(record, destination, RenderingKind.FHIR, _HAS)
    for corrections, identity in enumerate(identities):
        withdrawn = is_deleted or corrections < len(record.former)
        transaction = fhir_transaction(
            result, identity, systems, release, corrections=corrections, withdrawn=withdrawn
        )
        _, uid = report_identifiers(transaction)
        if not withdrawn or (corrections in told and uid not in done):
            yield uid, json.dumps(transaction, ensure_ascii=False).encode()
