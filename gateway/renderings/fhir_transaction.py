"""A study's results as a transaction, for a FHIR server that is sent it.

Each resource is known there by its identifier. The report has a second one, which changes with
whatever the transaction tells: a server that has it has all of this. Not as a *batch*, in which
resources of one bundle cannot refer to each other.

References
----------
hl7.org/fhir, RESTful API: 3.2.0.7 (conditional create), 3.2.0.5 (conditional update), 3.2.0.13
(transaction).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from gateway.renderings.fhir import (
    ENTERED_IN_ERROR,
    URI,
    IdentifierSystems,
    Release,
    StudyResources,
    bundle_of,
    identifier,
    url_of,
)
from gateway.renderings.identifiers import derived_uuid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.renderings.fhir import Resource
    from gateway.schemas.result import StudyResult


def fhir_transaction(
    study: StudyResult,
    identity: Mapping[str, str | None],
    systems: IdentifierSystems,
    release: Release,
    *,
    corrections: int = 0,
    withdrawn: bool = False,
) -> Resource:
    """Return a study's results as a Bundle of type `transaction`, each resource to be created once.

    Findings of superseded images are in it as entered in error. Which of `as_first` and
    `as_correction` a server takes depends on what it has.

    Parameters
    ----------
    study
        The whole study, all images of it.
    identity
        Identifying attributes of the metadata: `patient_id` and `accession_number`.
    systems
        Systems of their identifiers.
    release
        The release of FHIR.
    corrections
        Number of times that the identity was corrected: each identity has resources of its own.
    withdrawn
        True if the results hold no more: all of them are entered in error.
    """
    context = StudyResources(study, identity, systems, release, corrections, withdrawn=withdrawn)
    resources = context.all(superseded=True)
    conditions = [f"identifier={URI}|{item['identifier'][-1]['value']}" for item in resources]
    # There is one withdrawal of an identity, whatever joins the study after it.
    told = "withdrawn" if withdrawn else json.dumps(resources, sort_keys=True)
    name = derived_uuid("told", resources[0]["identifier"][0]["value"], told)
    resources[0]["identifier"].append(identifier(f"urn:uuid:{name}"))
    entries = [
        {
            "fullUrl": url_of(item),
            # The server gives ids of its own, and refuses to update a resource of another id.
            "resource": {name: value for name, value in item.items() if name != "id"},
            "request": {"method": "POST", "url": item["resourceType"], "ifNoneExist": condition},
        }
        for item, condition in zip(resources, conditions, strict=True)
    ]
    return bundle_of("transaction", study, entries)


def report_identifiers(transaction: Resource) -> tuple[str, str]:
    """Return the report's identifiers: the one that stays, and the one of all that is told."""
    [lasting, told] = transaction["entry"][0]["resource"]["identifier"]
    return lasting["value"], told["value"]


def is_withdrawal(transaction: Resource) -> bool:
    """Return True if the transaction tells of results that hold no more."""
    return bool(transaction["entry"][0]["resource"]["status"] == ENTERED_IN_ERROR)


def as_first(transaction: Resource) -> Resource:
    """Return a transaction for a server that has no such report: without what is superseded."""
    entries = transaction["entry"]
    kept = [entry for entry in entries if entry["resource"].get("status") != ENTERED_IN_ERROR]
    return transaction | {"entry": kept}


def as_correction(transaction: Resource) -> Resource:
    """Return a transaction for a server that has the report: it gives report and findings anew.

    Devices, and an imaging study that holds, stay as the server has them.
    """
    return transaction | {"entry": [_updating(entry) for entry in transaction["entry"]]}


def _updating(entry: Resource) -> Resource:
    resource, request = entry["resource"], entry["request"]
    kind = resource["resourceType"]
    in_error = resource.get("status") == ENTERED_IN_ERROR
    if kind not in {"DiagnosticReport", "Observation"} and not in_error:
        return entry
    return entry | {"request": {"method": "PUT", "url": f"{kind}?{request['ifNoneExist']}"}}
