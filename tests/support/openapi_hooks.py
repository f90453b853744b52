"""Hooks for Schemathesis that skip needless cases: named by tests/e2e/schemathesis.toml."""

import schemathesis


@schemathesis.hook
def filter_case(_context: schemathesis.HookContext, case: schemathesis.Case) -> bool:
    """Return whether a case breaks a rule that there is.

    Unknown header fields are passed over (RFC 9110, section 5.1), as they must be: every
    proxy adds some. Schemathesis counts an added one as an error to be refused.
    """
    return "x-schemathesis-unknown-property" not in {name.lower() for name in case.headers or {}}


# Whatever the bytes are, they go as they are.
schemathesis.serializer.alias(
    ["application/dicom", "multipart/related"], "application/octet-stream"
)
