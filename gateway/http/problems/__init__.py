"""The one place that turns an error into problem+json (RFC 9457), by `gateway.problems`."""

from gateway.http.problems.answers import install, internal_error, response_of
from gateway.http.problems.openapi import add_documented, documented

__all__ = ["add_documented", "documented", "install", "internal_error", "response_of"]
