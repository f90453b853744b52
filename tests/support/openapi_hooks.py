"""What Schemathesis need not send: named by tests/e2e/schemathesis.toml."""

import schemathesis


@schemathesis.hook
def filter_case(_context: schemathesis.HookContext, case: schemathesis.Case) -> bool:
    """Whether a case breaks a rule that there is.

    Header fields that nobody knows are passed over (RFC 9110, section 5.1), as they must be: every
    proxy adds some. Schemathesis counts an added one as an error to be refused.
    """
    return "x-schemathesis-unknown-property" not in {name.lower() for name in case.headers or {}}
