"""Lists of words as they stand in the code: text, divided at white space."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")


def listed(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


def by_word(meanings: Mapping[T, str]) -> dict[str, T]:
    """Return the meaning of each word, of the words that have each meaning."""
    return {word: meaning for meaning, words in meanings.items() for word in words.split()}


def capitals(text: str) -> str:
    """Return a text in capitals, without accents."""
    letters = unicodedata.normalize("NFKD", text).upper()
    return "".join(letter for letter in letters if not unicodedata.combining(letter))
