"""Patterns of texts in settings, documents and requests, and the sentence for what has none."""

from __future__ import annotations

from gateway.schemas.printable import PRINTABLE
from gateway.settings import AE_TITLE_PATTERN, TENANT_PATTERN
from gateway.settings.group import ASCII_WORD_PATTERN, WEB_URL_PATTERN
from gateway.settings.http import PATH_PREFIX_PATTERN
from gateway.settings.telemetry import STREAM_PATTERN

AFTER_PATTERN = r"^[0-9a-f]{0,32}$"
"""The last id that was seen of a listing, behind which it goes on."""
AGE_PATTERN = r"^[0-9]{1,4}[hDWMY]$"
AGE_STRING_PATTERN = r"^[0-9]{3}[DWMY]$"
"""DICOM's value representation AS."""
ASCII_PATTERN = r"^[ -~]+$"
ASCII_WORDS_PATTERN = r"^[!-~]+( [!-~]+)*$"
CALLER_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9 ._@-]{0,63}$"
"""Names that an operator gives to keys."""
CODE_STRING_PATTERN = r"^[A-Z0-9_ ]{1,16}$"
"""DICOM's value representation CS."""
DESTINATION_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$"
DIGEST_PATTERN = r"^[0-9a-f]{16}$"
"""The first digits of a SHA-256."""
FIELD_PATTERN = (
    r"^(metadata(\.[A-Za-z0-9_-]{1,64}){1,4}|dicom\.[A-Za-z0-9]{1,64}|sender|tenant"
    r"|route|ae_title|time_of_day)$"
)
FILE_PREFIX_PATTERN = r"^[^/\x00-\x1f][^\x00-\x1f]{0,511}$"
HOST_PATTERN = r"^[A-Za-z0-9:]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?$"
HTTPS_URL_PATTERN = r"^https://[^\s@#]+$"
MODALITY_PATTERN = r"^(X-RAY|[A-Z]{2,16})$"
MODEL_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$"
NAME_PATTERN = r"^[ -~]*[!-~][ -~]*$"
PARKED_ID_PATTERN = r"^[0-9a-f]{32}$"
SERVICE_URL_PATTERN = r"^https?://[^\s@?#]+$"
STUDY_ID_PATTERN = r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$"
TIME_ZONE_PATTERN = r"^[A-Za-z0-9_+/-]{1,64}$"
URI_PATTERN = r"^[A-Za-z][A-Za-z0-9+.-]*:[!-~]+$"
USER_PATTERN = r"^[ -9;-~]+$"
VERSION_PATTERN = r"^[0-9]{1,18}$"

_NAME = "must be 1 to 40 lower-case letters, digits or '-', neither beginning nor ending with '-'"
_ASCII = "must be ASCII without control characters"

SENTENCES = {
    AE_TITLE_PATTERN: "must be 1 to 16 ASCII characters without a backslash, and have no blank at "
    "its ends",
    AFTER_PATTERN: "must be 32 hexadecimal digits at most",
    AGE_PATTERN: "must be an age such as 18Y, 6M, 2W, 10D or 12h",
    AGE_STRING_PATTERN: "must be an age such as 034Y or 018M",
    ASCII_PATTERN: _ASCII,
    ASCII_WORDS_PATTERN: f"{_ASCII}, words with one blank between",
    ASCII_WORD_PATTERN: "must be ASCII without blanks and control characters",
    CALLER_PATTERN: "must be 1 to 64 letters, digits, blanks, '.', '_', '@' or '-', beginning with "
    "a letter or digit",
    CODE_STRING_PATTERN: "must be 1 to 16 capital letters, digits, blanks or '_'",
    DESTINATION_PATTERN: _NAME,
    DIGEST_PATTERN: "must be 16 hexadecimal digits",
    FIELD_PATTERN: "must be metadata.NAME, dicom.KEYWORD, sender, tenant, route, ae_title or "
    "time_of_day",
    FILE_PREFIX_PATTERN: "must be 1 to 512 characters without control characters, not beginning "
    "with '/'",
    HOST_PATTERN: "must be a host name or an address",
    HTTPS_URL_PATTERN: "must be an https URL without user and fragment",
    MODALITY_PATTERN: "must be X-RAY or 2 to 16 capital letters",
    MODEL_PATTERN: "must be 1 to 128 letters, digits, '.', '_' or '-', beginning with a letter, "
    "digit or '_'",
    NAME_PATTERN: f"{_ASCII}, and not all blank",
    PARKED_ID_PATTERN: "must be 32 hexadecimal digits",
    PATH_PREFIX_PATTERN: "must be a path such as /radstream, without a slash at its end",
    PRINTABLE: "must have a character or more, and no control characters",
    SERVICE_URL_PATTERN: "must be an http or https URL without user, query and fragment",
    STREAM_PATTERN: "must be 1 to 128 letters, digits, '_', '.' or '-'",
    STUDY_ID_PATTERN: "must be 1 to 64 letters, digits, '.', '_' or '-', not beginning with a dot",
    TENANT_PATTERN: _NAME,
    TIME_ZONE_PATTERN: "must be a time zone such as Europe/Berlin",
    URI_PATTERN: "must be a URI such as urn:oid:1.2.3",
    USER_PATTERN: "must be ASCII without colon and control characters",
    VERSION_PATTERN: "must be a version's number",
    WEB_URL_PATTERN: "must begin with http:// or https://",
}
"""The sentence on a text that does not match, by pattern."""
