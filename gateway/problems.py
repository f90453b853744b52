"""The kinds of problems, and which of them an error is."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from gateway import errors
from gateway.schemas.problem import Problem, ProblemFault

if TYPE_CHECKING:
    from collections.abc import Mapping

URN = "urn:radstream:problem:"


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """A kind of problem.

    Parameters
    ----------
    name
        The last part of its `type`.
    status
        The HTTP status.
    title
        A summary, the same in every occurrence.
    detail
        Advice for the sender; ``{field}`` stands for a field of the error.
    retry_after_s
        Seconds after which sending again may help.
    challenge
        WWW-Authenticate, where another credential may help (RFC 6750, section 3); ``{field}`` as
        in the detail.
    """

    name: str
    status: int
    title: str
    detail: str
    retry_after_s: int | None = None
    challenge: str | None = None


_REALM = 'Bearer realm="radstream"'

_OVERLOADED = ProblemKind(
    "overloaded",
    503,
    "Service overloaded",
    "Nothing was stored. Send the study again, more slowly.",
    retry_after_s=1,
)

KINDS: Mapping[type[errors.RadStreamError], ProblemKind] = {
    errors.MalformedRequestError: ProblemKind(
        "malformed-request", 400, "Malformed request", "{reason}"
    ),
    errors.RequestMediaTypeError: ProblemKind(
        "unsupported-content-type",
        415,
        "Unsupported media type",
        "Send {taken}.",
    ),
    errors.NotAcceptableError: ProblemKind(
        "not-acceptable",
        406,
        "Not acceptable",
        "The answer is {offered}. Name one of them in Accept, or leave the header out.",
    ),
    errors.ContentCodingError: ProblemKind(
        "unsupported-content-encoding",
        415,
        "Unsupported content encoding",
        "The body is under {coding}. Send it as it is, without Content-Encoding: JPEG, PNG and "
        "DICOM have compressions of their own.",
    ),
    errors.BodyTooLargeError: ProblemKind(
        "body-too-large",
        413,
        "Request body too large",
        "The body has more than {limit_bytes} bytes. Send fewer images at a time.",
    ),
    errors.TooManyPartsError: ProblemKind(
        "too-many-parts",
        413,
        "Too many parts",
        "The body has more than {limit} parts. Send fewer images at a time.",
    ),
    errors.InvalidPartsError: ProblemKind(
        "invalid-parts",
        422,
        "Invalid multipart parts",
        "Send one part named 'metadata' and one or more named 'image'.",
    ),
    errors.InvalidMetadataError: ProblemKind(
        "invalid-metadata",
        422,
        "Invalid metadata",
        "Mend what 'errors' lists and send the study again.",
    ),
    errors.InvalidQueryError: ProblemKind(
        "invalid-query",
        422,
        "Invalid parameter",
        "Mend what 'errors' lists and ask again.",
    ),
    errors.InvalidCallbackError: ProblemKind(
        "invalid-callback",
        422,
        "Callback URL not allowed",
        "Nothing was stored. Mend the header RadStream-Callback, or leave it out: {reason}.",
    ),
    errors.CallbackUnansweredError: ProblemKind(
        "callback-failed",
        502,
        "Webhook delivery failed",
        "The URL did not answer with success: {reason}.",
    ),
    errors.ReportUnansweredError: ProblemKind(
        "commitment-report-failed",
        502,
        "Storage commitment report failed",
        "The sender did not take the report: {reason}.",
    ),
    errors.StudyIncompleteError: ProblemKind(
        "study-incomplete",
        409,
        "Study incomplete",
        "Its results are held back; missing: {missing}. Retry it to deliver what there is.",
    ),
    errors.DeliveryRefusedError: ProblemKind(
        "delivery-refused",
        502,
        "Result parked",
        "The destination did not confirm the result, which was parked: {reason}. Mend the cause, "
        "then retry the result.",
    ),
    errors.RenderingNotConformantError: ProblemKind(
        "rendering-not-conformant",
        500,
        "Result not conformant",
        "The result was not sent: {reasons}. Report this; the log has the study.",
    ),
    errors.DeliveryUnansweredError: ProblemKind(
        "delivery-unanswered",
        502,
        "Result not confirmed",
        "The destination did not confirm the result: {reason}.",
    ),
    errors.CredentialsMissingError: ProblemKind(
        "credentials-missing",
        401,
        "Authentication required",
        "Send an API key in X-API-Key, or a token as Authorization: Bearer.",
        challenge=_REALM,
    ),
    errors.CredentialsAmbiguousError: ProblemKind(
        "credentials-ambiguous",
        400,
        "More than one credential",
        "Send one API key or one token, not several.",
        challenge=f'{_REALM}, error="invalid_request"',
    ),
    errors.CredentialsInvalidError: ProblemKind(
        "credentials-invalid",
        401,
        "Invalid credential",
        "{refusal}",
        challenge=f'{_REALM}, error="invalid_token"',
    ),
    errors.ScopeMissingError: ProblemKind(
        "scope-missing",
        403,
        "Insufficient scope",
        "It lacks the scope {scope}. The operator gives scopes to keys, the issuer to tokens.",
        challenge=f'{_REALM}, error="insufficient_scope", scope="{{scope}}"',
    ),
    errors.TenancyError: ProblemKind("tenancy", 403, "Not for this caller's tenant", "{reason}"),
    errors.ForeignOriginError: ProblemKind(
        "foreign-origin",
        403,
        "Cross-origin request refused",
        "Without authentication only programs on this machine are served. Set up API keys or "
        "tokens to serve others, a proxy or web pages.",
    ),
    errors.StaleFormError: ProblemKind(
        "stale-form",
        403,
        "Form out of date",
        "Nothing was done. Open the page again and send its form anew.",
    ),
    errors.IssuerUnavailableError: ProblemKind(
        "issuer-unavailable",
        503,
        "Identity provider unavailable",
        "The keys of the token's issuer cannot be had. Send the request again.",
        retry_after_s=5,
    ),
    errors.AuditUnavailableError: ProblemKind(
        "audit-unavailable",
        503,
        "Audit trail unavailable",
        "A request is answered only once it is in the audit trail. Send the request again.",
        retry_after_s=5,
    ),
    errors.UnsupportedImagesError: ProblemKind(
        "unsupported-image",
        415,
        "Unsupported image format",
        "Send JPEG, PNG or DICOM; 'errors' names the parts.",
    ),
    errors.UnreadableImagesError: ProblemKind(
        "unreadable-image",
        422,
        "Damaged image",
        "Export the images that 'errors' names again and send them anew.",
    ),
    errors.ImagesWithoutContrastError: ProblemKind(
        "no-contrast",
        422,
        "Blank image",
        "Nothing can be found in the images that 'errors' names. Look at them, and at their "
        "window, and export them anew.",
    ),
    errors.ImagesTooLargeError: ProblemKind(
        "image-too-large",
        413,
        "Image too large",
        "Send the images that 'errors' names smaller, or as plain baseline files.",
    ),
    errors.StudyConflictError: ProblemKind(
        "study-conflict",
        409,
        "Conflict with the stored study",
        "Another patient or order is stored under this study_id. Send the study under its own.",
    ),
    errors.StudyBacklogFullError: ProblemKind(
        "study-backlog-full",
        503,
        "Too many pending images of one study",
        "Nothing was stored: {limit} submissions of the study are pending or have failed. Send the "
        "images again when some are processed, or have the failed ones discarded.",
        retry_after_s=5,
    ),
    errors.StudyNotFoundError: ProblemKind(
        "study-not-found", 404, "Study not found", "No study is stored under this study_id."
    ),
    errors.StudyDeletedError: ProblemKind(
        "study-deleted",
        410,
        "Study deleted",
        "Everything of it was removed on request, or at the end of its retention period.",
    ),
    errors.StudyBeingDeletedError: ProblemKind(
        "study-being-deleted",
        409,
        "Study deletion in progress",
        "Send it again in a minute, when that is over, or under another study_id.",
    ),
    errors.GivenUpError: ProblemKind(
        "study-given-up",
        500,
        "Retries exhausted",
        "It was begun {attempts} times and never came to an end. The operator's log has the "
        "reason.",
    ),
    errors.ImageNotFoundError: ProblemKind(
        "image-not-found",
        404,
        "Image not found",
        "The study has no image {number}; it has {images}, numbered from 1.",
    ),
    errors.InstanceNotFoundError: ProblemKind(
        "instance-not-found",
        404,
        "Instance not found",
        "The study has no such series, instance, frame or attribute.",
    ),
    errors.NoHeatMapError: ProblemKind(
        "no-heat-map",
        404,
        "No heat map for this image",
        "Model {model_name} gives no activation map.",
    ),
    errors.NoDicomContextError: ProblemKind(
        "no-dicom-context",
        404,
        "No DICOM context",
        "No image of the study is a DICOM instance with Study, Series and SOP Instance UID, so "
        "there is no DICOM report of it. Get its results as JSON or FHIR.",
    ),
    errors.InvalidAcceptanceError: ProblemKind(
        "invalid-acceptance",
        422,
        "Invalid acceptance",
        "Send the page of this version as it is served, with its signature; 'errors' lists what "
        "is amiss.",
    ),
    errors.InvalidFeedbackError: ProblemKind(
        "invalid-feedback",
        422,
        "Invalid feedback",
        "Send one judgement on a label of the study's findings; 'errors' lists what is amiss.",
    ),
    errors.InvalidEventError: ProblemKind(
        "invalid-event",
        422,
        "Invalid event",
        "Send an S3 event as EventBridge delivers it; 'errors' lists what differs.",
    ),
    errors.ForeignBucketError: ProblemKind(
        "foreign-bucket",
        422,
        "Event from another bucket",
        "Events are taken of the bucket that RADSTREAM_STORE__IMAGES_BUCKET names.",
    ),
    errors.MissingHalfError: ProblemKind(
        "missing-half",
        422,
        "Missing image or sidecar",
        "No {missing} came within {waited_s} s. Put it beside this object: it is still taken up.",
    ),
    errors.DeliveryUnfinishedError: ProblemKind(
        "delivery-unfinished",
        503,
        "Delivery not finished",
        "Deliver the event again: {reason}.",
        retry_after_s=5,
    ),
    errors.ParkedItemNotFoundError: ProblemKind(
        "parked-item-not-found", 404, "Parked item not found", "Nothing is parked under this id."
    ),
    errors.NoModelAcceptsError: ProblemKind(
        "no-model-accepts",
        422,
        "No model accepts this study",
        "No contract accepts this modality, body part and view. Accepted: {accepted}.",
    ),
    errors.UnknownModelError: ProblemKind(
        "unknown-model",
        422,
        "Unknown model",
        "The model asked for is not {lack}. Models that are {lack}: {known}.",
    ),
    errors.KeptOutError: ProblemKind(
        "kept-out",
        422,
        "Image kept out by a rule",
        "The routing document keeps such images out, by: {rules}.",
    ),
    errors.NoRuleError: ProblemKind(
        "no-rule",
        422,
        "No routing rule applies",
        "No rule of the routing document applies to the image, and it has no `otherwise`.",
    ),
    errors.ModelSilentError: ProblemKind(
        "model-silent",
        409,
        "Model silent",
        "A stop rule had silenced the model, so no result of it is shown. The images were "
        "processed; a person has to read them.",
    ),
    errors.ContractError: ProblemKind(
        "model-failed", 502, "Model failed", "The model broke its contract: {reason}."
    ),
    errors.InferenceFailedError: ProblemKind(
        "model-failed",
        502,
        "Model failed",
        "Model {model_name} could not process this study. The operator's log has the reason.",
    ),
    errors.ModelNotLoadedError: ProblemKind(
        "model-not-loaded",
        409,
        "Model not loaded",
        "Triton did not load {model_name}: {reason}. Versions that were served still are.",
    ),
    errors.InferenceUnavailableError: ProblemKind(
        "model-unavailable",
        503,
        "Model unavailable",
        "Nothing was stored. Send the study again.",
        retry_after_s=2,
    ),
    errors.OverloadedError: _OVERLOADED,
    errors.InferenceOverloadedError: _OVERLOADED,
    errors.QuotaExceededError: ProblemKind(
        "quota-exceeded",
        429,
        "Tenant quota exceeded",
        "Tenant {tenant} has used up its quota {quota} of {limit}. Nothing was stored. Send the "
        "study again after the time that Retry-After tells.",
        retry_after_s=1,
    ),
    errors.TooManyPicturesError: ProblemKind(
        "too-many-pictures",
        503,
        "Too many concurrent renderings",
        "Ask for the picture again, for fewer at a time.",
        retry_after_s=1,
    ),
    errors.DeadlineExceededError: ProblemKind(
        "deadline-exceeded",
        504,
        "Deadline exceeded",
        "The time for a request ended in stage '{stage}'. Send the study again.",
    ),
    errors.RequestTooSlowError: ProblemKind(
        "request-too-slow",
        408,
        "Request timeout",
        "The {part} did not come in time. Send the request again, over a faster connection.",
    ),
    errors.HeadTooLargeError: ProblemKind(
        "head-too-large",
        431,
        "Header fields too large",
        "The request's line and header fields have more than {limit_bytes} bytes. Send the "
        "metadata as a part of a multipart body.",
    ),
    errors.CallerGoneError: ProblemKind(
        "caller-gone",
        499,
        "Client closed the request",
        "The request was stopped; nothing was stored.",
    ),
    errors.InvalidKeyError: ProblemKind(
        "invalid-key", 422, "Invalid object key", "Name the object anew: {reason}."
    ),
    errors.ObjectTooLargeError: ProblemKind(
        "object-too-large",
        413,
        "Object too large",
        "The object has more than {limit_bytes} bytes.",
    ),
    errors.ObjectNotReadableError: ProblemKind(
        "object-not-readable",
        422,
        "Object not readable",
        "See that the gateway's account may read this object and its other half: {reason}. It is "
        "taken up then.",
    ),
    errors.UnreadableDocumentError: ProblemKind(
        "document-unreadable",
        502,
        "Stored document unreadable",
        "The object {place} in the results store cannot be read: {reason}. Nothing that is sent "
        "mends it. The operator finds the event store.document_unreadable in the log, and "
        "restores the object or removes it.",
    ),
    errors.StoreError: ProblemKind(
        "store-failed",
        503,
        "Object store unavailable",
        "The result could not be stored or read. Send the request again.",
        retry_after_s=5,
    ),
}

UNEXPECTED = ProblemKind(
    "internal", 500, "Internal server error", "The operator finds it in the log by this instance."
)

# What the framework itself refuses, by status.
FRAMEWORK = {
    404: ProblemKind("not-found", 404, "Not found", "See {docs} for what is."),
    405: ProblemKind("method-not-allowed", 405, "Method not allowed", "See the Allow header."),
}


def kind_of(error: errors.RadStreamError) -> ProblemKind:
    """Return the kind of problem an error is: its own class's, or the nearest base's."""
    for ancestor in type(error).__mro__:
        if ancestor in KINDS:
            return KINDS[ancestor]
    return UNEXPECTED


def all_kinds() -> list[ProblemKind]:
    """Return every kind a caller can meet, each once."""
    return list(dict.fromkeys([*KINDS.values(), *FRAMEWORK.values(), UNEXPECTED]))


def problem_of(error: errors.RadStreamError, instance: str | None = None) -> Problem:
    """Return the problem an error is.

    Parameters
    ----------
    error
        The error that was raised.
    instance
        The id of the request it went wrong in.
    """
    kind = kind_of(error)
    detail = kind.detail.format(**values_of(error))
    return as_problem(kind, instance, detail, getattr(error, "faults", None))


def problem_of_kind(name: str) -> Problem:
    """Return the problem of a kind, by its name, without what only its occurrence had."""
    kind = next((kind for kind in all_kinds() if kind.name == name), UNEXPECTED)
    detail = f"{kind.title}." if "{" in kind.detail else kind.detail
    return as_problem(kind, None, detail)


def values_of(error: errors.RadStreamError) -> dict[str, str]:
    """Return the error's fields by name, as its kind's texts quote them."""
    return {field.name: _words(getattr(error, field.name)) for field in fields(error)}


def _words(value: object) -> str:
    if isinstance(value, tuple):
        return "; ".join(str(item) for item in value)
    return "not given" if value is None else str(value)


def as_problem(
    kind: ProblemKind,
    instance: str | None,
    detail: str,
    faults: tuple[errors.Fault, ...] | None = None,
) -> Problem:
    """Return an occurrence of the kind."""
    return Problem(
        type=URN + kind.name,
        title=kind.title,
        status=kind.status,
        detail=detail,
        instance=f"urn:radstream:request:{instance}" if instance else None,
        errors=[ProblemFault(pointer=fault.pointer, detail=fault.detail) for fault in faults]
        if faults
        else None,
    )
