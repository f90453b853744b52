"""Limits of one request, and of the work taken on at once."""

from __future__ import annotations

from pydantic import Field

from gateway.runtime.machine import cores, memory_bytes
from gateway.settings.group import SettingsGroup


class LimitSettings(SettingsGroup):
    """Limits of one request."""

    body_bytes: int = Field(64 * 2**20, gt=0, description="Largest request body in bytes.")
    metadata_bytes: int = Field(
        256 * 2**10, gt=0, description="Largest metadata document in bytes."
    )
    parts: int = Field(16, ge=2, le=1000, description="Most parts of a multipart body.")
    image_pixels: int = Field(
        100_000_000,
        gt=0,
        description="Most pixels of one image, and of all images of a request together.",
    )
    decode_s: float = Field(
        10.0,
        gt=0,
        le=60,
        description="Timeout in seconds of decoding one file in a worker process, where codecs "
        "that may hang run.",
    )
    image_threads: int = Field(
        default_factory=cores,
        ge=1,
        le=256,
        description="Threads for image work; as many as cores, unless set.",
    )


class AdmissionSettings(SettingsGroup):
    """Limits of the work taken on at once, for all ways in together."""

    studies: int = Field(
        default_factory=lambda: 8 * cores(),
        ge=2,
        le=10_000,
        description="Concurrency limit: studies processed at once; eight for each core, unless "
        "set. One caller alone gets half of them.",
    )
    bytes: int = Field(
        default_factory=lambda: max(256 * 2**20, min(memory_bytes() // 8, 2**30)),
        gt=0,
        description="Memory limit: bytes of bodies and files held at once; an eighth of the "
        "memory, but from 256 MiB to 1 GiB, unless set. One caller alone gets half "
        "of them.",
    )
    background_share: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Share of the cores that the gateway uses, while callers wait for studies, "
        "before it holds back the others: instances sent over DICOM or DICOMweb, and accepted "
        "studies. Without such callers these have all cores; 1 never holds them back.",
    )
