"""No key has two readings: what a store, a proxy or a library makes of it is the key itself."""

import posixpath
from contextlib import suppress
from urllib.parse import quote, unquote

from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InvalidKeyError
from gateway.storage.keys import split_key, split_prefix

KEYS = st.lists(
    st.sampled_from(["", ".", "..", "a", "...", "%2e%2e", "..\\", "\0", "\uff0e\uff0e", "results"])
    | st.text(max_size=5),
    max_size=6,
).map("/".join)


@given(key=KEYS)
def test_a_key_is_the_same_once_its_path_is_normalised(key: str):
    with suppress(InvalidKeyError):
        steps = split_key(key)
        assert posixpath.normpath(f"/bucket/{key}") == f"/bucket/{key}"
        assert posixpath.normpath(unquote(f"/bucket/{quote(key)}")) == f"/bucket/{key}"
        assert "/".join(steps) == key


@given(prefix=KEYS)
def test_a_prefix_leads_below_itself_alone(prefix: str):
    with suppress(InvalidKeyError):
        steps = split_prefix(prefix)
        assert prefix.startswith("/".join([*steps, ""]) if steps else "")
        assert not {"", ".", ".."} & set(steps)
