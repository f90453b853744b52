"""The errors that a study can meet on its way. Nothing here knows FastAPI, gRPC or botocore.

Every class carries fields, not a finished sentence: `gateway.problems` is the one place that turns
an error into a status and words, and a test walks this tree to see that none is forgotten there.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import ClassVar


@dataclass(eq=False)
class RadStreamError(Exception):
    """The root of everything the gateway raises on purpose.

    Attributes
    ----------
    label
        Name of the error in metrics and logs, published: it stays when the class is renamed.
    """

    label: ClassVar[str]

    def __init_subclass__(cls, *, label: str) -> None:
        """Take the label of a class, which each has to give."""
        super().__init_subclass__()
        cls.label = label

    def __str__(self) -> str:
        """Return class and fields, for developers; callers get the words of `gateway.problems`."""
        inner = ", ".join(f"{field.name}={getattr(self, field.name)!r}" for field in fields(self))
        return f"{type(self).__name__}({inner})"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to mend in what was sent.

    Parameters
    ----------
    pointer
        A JSON pointer (RFC 6901) into the metadata, or the name of a part: ``image[2]``.
    detail
        The thing to mend, in a sentence.
    """

    pointer: str
    detail: str


# --- the request ---------------------------------------------------------------------------------


@dataclass(eq=False)
class MalformedRequestError(RadStreamError, label="MalformedRequestError"):
    """The body cannot be taken apart: a broken multipart frame, a missing boundary."""

    reason: str


@dataclass(eq=False)
class RequestMediaTypeError(RadStreamError, label="RequestMediaTypeError"):
    """The request's Content-Type is none this route takes; `taken` names those that it takes."""

    media_type: str
    taken: str = "multipart/form-data, or one image as image/jpeg, image/png or application/dicom"


@dataclass(eq=False)
class NotAcceptableError(RadStreamError, label="NotAcceptableError"):
    """The request accepts no media type that the answer has; `offered` names those."""

    offered: str


@dataclass(eq=False)
class ContentCodingError(RadStreamError, label="ContentCodingError"):
    """The body is under a content coding; bodies are taken as they are."""

    coding: str


@dataclass(eq=False)
class BodyTooLargeError(RadStreamError, label="BodyTooLargeError"):
    """The body has more bytes than the gateway takes."""

    limit_bytes: int


@dataclass(eq=False)
class TooManyPartsError(RadStreamError, label="TooManyPartsError"):
    """The multipart body has more parts than the gateway takes."""

    limit: int


@dataclass(eq=False)
class InvalidPartsError(RadStreamError, label="InvalidPartsError"):
    """A part is missing, unknown or sent twice."""

    faults: tuple[Fault, ...]


@dataclass(eq=False)
class InvalidMetadataError(RadStreamError, label="InvalidMetadataError"):
    """The metadata document breaks its schema; every fault is listed."""

    faults: tuple[Fault, ...]


@dataclass(eq=False)
class InvalidAcceptanceError(RadStreamError, label="InvalidAcceptanceError"):
    """The acceptance is none of the model version as it is served; every fault is listed."""

    faults: tuple[Fault, ...]


@dataclass(eq=False)
class InvalidFeedbackError(RadStreamError, label="InvalidFeedbackError"):
    """The judgement on a study is none, or one on nothing that was found; every fault is listed."""

    faults: tuple[Fault, ...]


@dataclass(eq=False)
class InvalidQueryError(RadStreamError, label="InvalidQueryError"):
    """A query or path parameter is out of its range."""

    faults: tuple[Fault, ...]


@dataclass(eq=False)
class InvalidCallbackError(RadStreamError, label="InvalidCallbackError"):
    """The URL to call at the end is none that is called from here."""

    reason: str


@dataclass(eq=False)
class CallbackUnansweredError(RadStreamError, label="CallbackUnansweredError"):
    """A callback was not taken; it may be repeated."""

    reason: str


@dataclass(eq=False)
class ReportUnansweredError(RadStreamError, label="ReportUnansweredError"):
    """No sender took the report on its request for storage commitment; it may be repeated."""

    reason: str


@dataclass(eq=False)
class StudyIncompleteError(RadStreamError, label="StudyIncompleteError"):
    """A study ended without all that rules expect of it, and its results are held back.

    Parameters
    ----------
    missing
        Number of instances, and the views.
    """

    missing: tuple[str, ...]


@dataclass(eq=False)
class DeliveryRefusedError(RadStreamError, label="DeliveryRefusedError"):
    """A destination will never take a result as it is; the reason holds nothing of a patient."""

    reason: str


@dataclass(eq=False)
class RenderingNotConformantError(RadStreamError, label="RenderingNotConformantError"):
    """A rendering does not pass the gateway's own check, and is not sent."""

    reasons: tuple[str, ...]


@dataclass(eq=False)
class DeliveryUnansweredError(RadStreamError, label="DeliveryUnansweredError"):
    """A destination did not take a result; it may be sent again.

    Attributes
    ----------
    is_sent
        True if it was sent, so that the destination has seen it.
    retry_after_s
        Seconds that the destination asks to be left alone for; None where it asks for none.
    is_unasked
        True if the destination took the result, and is yet to be asked for storage commitment.
    is_declined
        True if the destination is there, and does not do what it was asked for.
    """

    reason: str
    is_sent: bool = False
    retry_after_s: float | None = None
    is_unasked: bool = False
    is_declined: bool = False


@dataclass(eq=False)
class CallerGoneError(RadStreamError, label="CallerGoneError"):
    """The caller closed the connection before the answer."""


@dataclass(eq=False)
class RequestTooSlowError(RadStreamError, label="RequestTooSlowError"):
    """The request's head or body came more slowly than the gateway waits for."""

    part: str


@dataclass(eq=False)
class HeadTooLargeError(RadStreamError, label="HeadTooLargeError"):
    """The request's line and header fields have more bytes than the gateway takes."""

    limit_bytes: int


@dataclass(eq=False)
class OverloadedError(RadStreamError, label="OverloadedError"):
    """The gateway has as much to do as it takes on; `reason` is one of a short fixed set."""

    reason: str


@dataclass(eq=False)
class QuotaExceededError(RadStreamError, label="QuotaExceededError"):
    """A tenant sends more than its quota lets it.

    Parameters
    ----------
    quota, limit
        Name of the quota, as the routing document has it, and its number.
    retry_after_s
        Seconds until it may have room.
    """

    tenant: str
    quota: str
    limit: int
    retry_after_s: int


@dataclass(eq=False)
class TooManyPicturesError(RadStreamError, label="TooManyPicturesError"):
    """As many pictures are looked at as are drawn at once, or as one caller may have drawn."""


# --- who calls -----------------------------------------------------------------------------------


class Refusal(StrEnum):
    """The reason a credential is refused, in words that give away nothing of what is kept."""

    MALFORMED = "The credential is neither a key made by RadStream nor a bearer token."
    NOT_TAKEN = "Credentials of this kind are not taken here."
    UNKNOWN_KEY = "The key is not known here, or was revoked."
    EXPIRED_KEY = "The key has expired."
    BAD_TOKEN = "The token is not validly signed by the issuer that is trusted here."  # noqa: S105 - no secret
    FOREIGN_TOKEN = "The token is of another issuer, for another audience or of nobody."  # noqa: S105 - no secret
    EXPIRED_TOKEN = "The token has expired, or is not valid yet."  # noqa: S105 - no secret
    EXPIRED_SESSION = "The session has ended. Sign in again."
    STALE_SIGN_IN = "The sign-in took too long, or was begun in another browser. Sign in again."
    SIGN_IN_REFUSED = "The identity provider did not sign the person in for this gateway."


@dataclass(eq=False)
class CredentialsMissingError(RadStreamError, label="CredentialsMissingError"):
    """The request names no caller, and none but named ones are served."""


@dataclass(eq=False)
class CredentialsAmbiguousError(RadStreamError, label="CredentialsAmbiguousError"):
    """The request carries more than one credential."""


@dataclass(eq=False)
class CredentialsInvalidError(RadStreamError, label="CredentialsInvalidError"):
    """The credential is not valid."""

    refusal: Refusal


@dataclass(eq=False)
class ScopeMissingError(RadStreamError, label="ScopeMissingError"):
    """The caller is known, and may not do this."""

    scope: str


@dataclass(eq=False)
class TenancyError(RadStreamError, label="TenancyError"):
    """The caller belongs to no tenant where it must, or to one where it must not."""

    reason: str


@dataclass(eq=False)
class ForeignOriginError(RadStreamError, label="ForeignOriginError"):
    """Authentication is off, and the request is not from a program on this machine."""


@dataclass(eq=False)
class StaleFormError(RadStreamError, label="StaleFormError"):
    """The form is of another session than the request, or of another site."""


@dataclass(eq=False)
class IssuerUnavailableError(RadStreamError, label="IssuerUnavailableError"):
    """The token may be good, but its issuer's keys cannot be had."""

    reason: str


@dataclass(eq=False)
class AuditUnavailableError(RadStreamError, label="AuditUnavailableError"):
    """The audit trail cannot take the record of an act, which therefore goes unanswered."""

    reason: str


# --- the images ----------------------------------------------------------------------------------


@dataclass(eq=False)
class UnreadableImagesError(RadStreamError, label="UnreadableImagesError"):
    """One or more images are damaged, or contradict what they declare."""

    faults: tuple[Fault, ...]


@dataclass(eq=False)
class ImagesWithoutContrastError(RadStreamError, label="ImagesWithoutContrastError"):
    """One or more images are blank: no model can find anything in them."""

    faults: tuple[Fault, ...]


@dataclass(eq=False)
class UnsupportedImagesError(RadStreamError, label="UnsupportedImagesError"):
    """One or more parts are no image, or of a kind the gateway does not read."""

    faults: tuple[Fault, ...]


@dataclass(eq=False)
class ImagesTooLargeError(RadStreamError, label="ImagesTooLargeError"):
    """One or more images go beyond the pixel, frame or time budget."""

    faults: tuple[Fault, ...]


# --- the study -----------------------------------------------------------------------------------


@dataclass(eq=False)
class StudyConflictError(RadStreamError, label="StudyConflictError"):
    """The metadata contradict what is stored under the same study_id."""

    faults: tuple[Fault, ...]


@dataclass(eq=False)
class StudyBacklogFullError(RadStreamError, label="StudyBacklogFullError"):
    """As many submissions of one study are pending or have failed as its document holds."""

    limit: int


@dataclass(eq=False)
class StudyNotFoundError(RadStreamError, label="StudyNotFoundError"):
    """No study is stored under this id."""


@dataclass(eq=False)
class StudyDeletedError(RadStreamError, label="StudyDeletedError"):
    """The study was here and has been deleted."""


@dataclass(eq=False)
class StudyBeingDeletedError(RadStreamError, label="StudyBeingDeletedError"):
    """The study is being deleted now; nothing can be added to it before that is over."""


@dataclass(eq=False)
class GivenUpError(RadStreamError, label="GivenUpError"):
    """A study was begun so often without an end that it is left alone."""

    attempts: int


@dataclass(eq=False)
class ImageNotFoundError(RadStreamError, label="ImageNotFoundError"):
    """The study is stored, but has no image of this number."""

    number: int
    images: int


@dataclass(eq=False)
class InstanceNotFoundError(RadStreamError, label="InstanceNotFoundError"):
    """The study is stored, but has no such series, instance, frame or attribute."""


@dataclass(eq=False)
class NoHeatMapError(RadStreamError, label="NoHeatMapError"):
    """The image was read by a model that gives no activation map."""

    model_name: str


@dataclass(eq=False)
class NoDicomContextError(RadStreamError, label="NoDicomContextError"):
    """No image of the study is an instance of a patient's study in DICOM."""


# --- the drop folder -----------------------------------------------------------------------------


@dataclass(eq=False)
class InvalidEventError(RadStreamError, label="InvalidEventError"):
    """The body is no S3 event as EventBridge sends it; every fault is listed."""

    faults: tuple[Fault, ...]


@dataclass(eq=False)
class ForeignBucketError(RadStreamError, label="ForeignBucketError"):
    """The event is of a bucket that is not this gateway's drop folder."""


@dataclass(eq=False)
class MissingHalfError(RadStreamError, label="MissingHalfError"):
    """An image's sidecar, or a sidecar's image, did not come in time."""

    missing: str
    waited_s: int


@dataclass(eq=False)
class DeliveryUnfinishedError(RadStreamError, label="DeliveryUnfinishedError"):
    """A delivery ended before its study was stored or parked; it may be repeated."""

    reason: str


@dataclass(eq=False)
class ParkedItemNotFoundError(RadStreamError, label="ParkedItemNotFoundError"):
    """Nothing is parked under this id."""


# --- the models ----------------------------------------------------------------------------------


@dataclass(eq=False)
class NoModelAcceptsError(RadStreamError, label="NoModelAcceptsError"):
    """No served model's contract accepts this modality, body part and view."""

    modality: str | None
    body_part: str | None
    view: str | None
    accepted: tuple[str, ...]
    faults: tuple[Fault, ...] = ()


@dataclass(eq=False)
class UnknownModelError(RadStreamError, label="UnknownModelError"):
    """A model, or a version of one, was asked for that is not there.

    Attributes
    ----------
    model
        The model asked for: `name` or `name:version`.
    known
        Those that are there, as `name:version`.
    lack
        The participle of what they are and the model is not.
    """

    model: str
    known: tuple[str, ...]
    lack: str = "served"
    faults: tuple[Fault, ...] = ()


@dataclass(eq=False)
class KeptOutError(RadStreamError, label="KeptOutError"):
    """Rules of the routing document keep such images out."""

    rules: tuple[str, ...]
    faults: tuple[Fault, ...] = ()


@dataclass(eq=False)
class NoRuleError(RadStreamError, label="NoRuleError"):
    """No rule of the routing document applies to the image, and it has no `otherwise`."""

    faults: tuple[Fault, ...] = ()


@dataclass(eq=False)
class ModelSilentError(RadStreamError, label="ModelSilentError"):
    """All that models found in a study is withheld: a stop rule had silenced them."""


@dataclass(eq=False)
class ContractError(RadStreamError, label="ContractError"):
    """A model's contract is missing, unreadable or does not fit the model's tensors."""

    reason: str


# --- what the gateway stands on ------------------------------------------------------------------


@dataclass(eq=False)
class InferenceUnavailableError(RadStreamError, label="InferenceUnavailableError"):
    """Triton, or the model in it, does not answer; the study may be sent again."""

    reason: str


@dataclass(eq=False)
class BackendDiedError(InferenceUnavailableError, label="BackendDiedError"):
    """Triton answers, but the process that runs the model is gone; a reload mends it.

    Attributes
    ----------
    instance
        Triton's name of the instance, where it says it: the model's name, then numbers.
    """

    instance: str = ""


@dataclass(eq=False)
class InferenceOverloadedError(RadStreamError, label="InferenceOverloadedError"):
    """Triton's queue for the model is full; the study may be sent again."""

    model_name: str


@dataclass(eq=False)
class InferenceFailedError(RadStreamError, label="InferenceFailedError"):
    """Triton took the tensor and the model failed on it."""

    model_name: str
    reason: str


@dataclass(eq=False)
class ModelNotLoadedError(RadStreamError, label="ModelNotLoadedError"):
    """Triton did not load a model that it was asked to load."""

    model_name: str
    reason: str


@dataclass(eq=False)
class DeadlineExceededError(RadStreamError, label="DeadlineExceededError"):
    """The request's time was used up in this stage."""

    stage: str


@dataclass(eq=False)
class StoreError(RadStreamError, label="StoreError"):
    """The root of what an object store raises."""


@dataclass(eq=False)
class ObjectNotFoundError(StoreError, label="ObjectNotFoundError"):
    """No object has this key."""


@dataclass(eq=False)
class ObjectTooLargeError(StoreError, label="ObjectTooLargeError"):
    """The object has more bytes than the reader takes."""

    limit_bytes: int


@dataclass(eq=False)
class ObjectNotReadableError(StoreError, label="ObjectNotReadableError"):
    """The gateway has no permission to read an object that another system keeps."""

    reason: str


@dataclass(eq=False)
class UnreadableDocumentError(StoreError, label="UnreadableDocumentError"):
    """A document in the store is damaged, or of a schema that this version does not read.

    Sending again does not help; an operator has to look. The place is the object's key, with a
    star for the study_id.
    """

    place: str
    reason: str


@dataclass(eq=False)
class InvalidKeyError(StoreError, label="InvalidKeyError"):
    """The key would leave the store's root, or is none the store can hold."""

    reason: str


@dataclass(eq=False)
class StoreUnavailableError(StoreError, label="StoreUnavailableError"):
    """The object store does not answer, or cannot write."""

    reason: str


# What may go well when it is tried again as it is; everything else needs a person to mend it.
TRANSIENT = (
    CallbackUnansweredError,
    DeadlineExceededError,
    DeliveryUnansweredError,
    DeliveryUnfinishedError,
    InferenceOverloadedError,
    InferenceUnavailableError,
    OverloadedError,
    ReportUnansweredError,
    StoreUnavailableError,
)


def log_fields(error: RadStreamError) -> dict[str, str]:
    """Return an error's kind for an event of the log, and the store's reason where it has one.

    The reason is a constant: what the system or S3 calls the fault, never a key.
    """
    fields = {"error": error.label}
    if isinstance(error, StoreError) and (reason := getattr(error, "reason", None)):
        fields["reason"] = reason
    return fields
