"""The telemetry event: what may be known of a study outside the store.

No field takes a sender's words. Every text is one of a fixed set or has a pattern that its maker
alone fills, so that no code path, however wrong, can send a name through it.
"""

from __future__ import annotations

import datetime as dt
import uuid
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
)

from gateway.schemas.metadata import View
from gateway.schemas.patterns import CALLER_PATTERN


class Stage(StrEnum):
    """A part of a study's way, in order; `total` is the way as a whole."""

    VALIDATE = "validate"
    ADMIT = "admit"
    DECODE = "decode"
    TENSOR = "tensor"
    INFER = "infer"
    STORE = "store"
    TOTAL = "total"


class StageStatus(StrEnum):
    """Result of a stage: `failed` is for the sender to mend, `error` for the operator."""

    SUCCESS = "success"
    FAILED = "failed"
    ERROR = "error"


class Modality(StrEnum):
    """Defined terms of Modality (0008,0060) that have pictures (PS3.3 C.7.3.1.1.1); else OT."""

    AR = "AR"
    BI = "BI"
    BMD = "BMD"
    CR = "CR"
    CT = "CT"
    DG = "DG"
    DX = "DX"
    ES = "ES"
    GM = "GM"
    IO = "IO"
    IVOCT = "IVOCT"
    IVUS = "IVUS"
    LS = "LS"
    MG = "MG"
    MR = "MR"
    NM = "NM"
    OCT = "OCT"
    OP = "OP"
    OPT = "OPT"
    OT = "OT"
    PT = "PT"
    PX = "PX"
    RF = "RF"
    RG = "RG"
    RTIMAGE = "RTIMAGE"
    SM = "SM"
    TG = "TG"
    US = "US"
    XA = "XA"
    XC = "XC"

    @classmethod
    def _missing_(cls, value: object) -> Modality | None:
        return cls.OT if isinstance(value, str) else None


# Defined terms of Body Part Examined (0018,0015) (PS3.16 Annex L) of the parts that are imaged.
BODY_PARTS = frozenset(
    """
    ABDOMEN ABDOMENPELVIS ADRENAL ANKLE AORTA ARM AXILLA BACK BLADDER BRAIN BREAST BRONCHUS BUTTOCK
    CALCANEUS CALF CAROTID CEREBELLUM CERVIX CHEEK CHEST CHESTABDOMEN CHESTABDPELVIS CLAVICLE
    COCCYX COLON CSPINE CTSPINE DUODENUM EAR ELBOW ESOPHAGUS EXTREMITY EYE FACE FEMUR FINGER FOOT
    FOREARM GALLBLADDER HAND HEAD HEADNECK HEART HIP HUMERUS ILEUM ILIUM JAW JEJUNUM KIDNEY KNEE
    LARYNX LEG LIVER LSPINE LSSPINE LUNG MAXILLA MEDIASTINUM MOUTH NECK NECKCHEST NECKCHESTABDOMEN
    NOSE ORBIT OVARY PANCREAS PAROTID PATELLA PELVIS PENIS PHARYNX PROSTATE RECTUM RIB SCALP
    SCAPULA SCLERA SCROTUM SHOULDER SKULL SPINE SPLEEN SSPINE STERNUM STOMACH SUBMANDIBULAR TESTIS
    THIGH THUMB THYMUS THYROID TLSPINE TOE TONGUE TRACHEA TSPINE URETER URETHRA UTERUS VAGINA VULVA
    WHOLEBODY WRIST ZYGOMA OTHER
    """.split()  # noqa: SIM905 - one a line would fill two pages
)


def _body_part(value: str) -> str:
    """Return the defined term, also where it was written with spaces; OTHER for anything else."""
    plain = value.replace(" ", "").replace("_", "")
    return plain if plain in BODY_PARTS else "OTHER"


def _utc(moment: dt.datetime) -> dt.datetime:
    return moment.astimezone(dt.UTC)


Hex32 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Kebab = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=40)]


BodyPart = Annotated[
    str,
    AfterValidator(_body_part),
    Field(json_schema_extra={"enum": sorted(BODY_PARTS)}),
]
Moment = Annotated[AwareDatetime, AfterValidator(_utc)]
ModelName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$")]
VersionNumber = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,18}$")]
GatewayVersion = Annotated[str, StringConstraints(pattern=r"^[0-9][0-9A-Za-z.+-]{0,31}$")]
Instance = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]

CallerName = Annotated[str, StringConstraints(pattern=CALLER_PATTERN)]


class TelemetryEvent(BaseModel):
    """Record of one stage of one study.

    A field in which the images of a study differ, such as the view of a PA and a lateral sent
    together, is null. Every field is in every record.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        json_schema_serialization_defaults_required=True,
    )

    event_id: Hex32 = Field(
        default_factory=lambda: uuid.uuid4().hex,
        description="The same in every copy of a record: delivery is at least once. That of a "
        "stage that succeeded follows from study, time of receipt and stage.",
    )
    schema_: Literal["radstream.telemetry/1"] = Field(
        "radstream.telemetry/1", alias="schema", description="Name and version of this schema."
    )
    occurred_at: Moment = Field(description="End of the stage: RFC 3339, UTC.")
    study_ref: Hex32 = Field(
        description="Keyed hash (HMAC-SHA-256, its first 128 bits) of the study_id, never the id."
    )
    stage: Stage = Field(description="The part of the study's way; total is the whole of it.")
    status: StageStatus = Field(
        description="success; failed where the sender has to mend something; error otherwise."
    )
    latency_ms: float = Field(
        ge=0,
        le=86_400_000,
        allow_inf_nan=False,
        description="Milliseconds that the stage took, up to its failure if it failed.",
    )
    error_code: Kebab | None = Field(
        None, description="Last part of the problem's type, where the stage did not succeed."
    )
    modality: Modality | None = Field(
        None, description="Modality (0008,0060): a defined term; OT for whatever else was sent."
    )
    body_part: BodyPart | None = Field(
        None,
        description="Body Part Examined (0018,0015): a defined term; OTHER for whatever else.",
    )
    view: View | None = Field(None, description="View Position (0018,5101), or OTHER.")
    model: ModelName | None = Field(
        None, description="Model chosen by the gateway, never the name that was asked for."
    )
    model_version: VersionNumber | None = Field(None, description="Version of that model.")
    images: int | None = Field(
        None, ge=0, le=10_000, description="Images of the study, as files that were sent."
    )
    not_processed: int | None = Field(
        None,
        ge=0,
        le=10_000,
        description="Number of them that could not be processed, though others were: above 0 where "
        "the study was answered in part.",
    )
    image_bytes: int | None = Field(
        None, ge=0, le=2**53, description="Bytes of the study's images as they were sent."
    )
    rows: int | None = Field(None, ge=1, le=2**31 - 1, description="Rows (0028,0010).")
    columns: int | None = Field(None, ge=1, le=2**31 - 1, description="Columns (0028,0011).")
    route: Kebab = Field(description="The way in that the study took.")
    gateway_version: GatewayVersion = Field(description="Version of RadStream.")
    instance: Instance = Field(description="Host name of the gateway.")
    trace_id: Hex32 | None = Field(
        None, description="Trace of the request (W3C Trace Context), where there was one."
    )
    caller: CallerName | None = Field(
        None,
        description="Name of the key that the study was sent with, as the operator gave it; oidc, "
        "anonymous or dropfolder where it came without one. Records of older "
        "gateways lack it.",
    )


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a record, as docs/schemas/telemetry-1.json has it."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:radstream:schema:telemetry-1",
        **TelemetryEvent.model_json_schema(mode="serialization"),
    }
