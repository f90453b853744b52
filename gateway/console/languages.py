"""Languages of the console: a catalogue of texts for each, and the choice among them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

LANGUAGES = ("en", "de")
COOKIE = "radstream_language"
_LEAST = 0.001
_UNITS = {"days": 86400, "hours": 3600, "minutes": 60}


@dataclass(frozen=True, slots=True)
class Language:
    """A language and its texts.

    Parameters
    ----------
    tag
        BCP 47 tag.
    texts
        By key.
    """

    tag: str
    texts: Mapping[str, str]

    def text(self, key: str, **values: object) -> str:
        """Return the text of this key, with the values in their places."""
        return self.texts[key].format(**values)

    def problem(self, kind: str, title: str) -> str:
        """Return the title of a problem; as it is stored, where a newer gateway wrote its kind."""
        return self.texts.get(f"problem.{kind}", title)

    def percent(self, share: float) -> str:
        """Return a share of 1 in percent, with one decimal; no rounding makes it 0 or 100."""
        shown = min(max(share, _LEAST), 1 - _LEAST)
        sign = "<" if share < shown else ">" if share > shown else ""
        if share in {0, 1}:
            shown, sign = share, ""
        return f"{sign}{self.decimal(shown * 100, 1)}\N{NO-BREAK SPACE}%"

    def age(self, seconds: float) -> str:
        """Return a time in its largest unit that it has two of, such as 3 min."""
        for unit, length in _UNITS.items():
            if seconds >= 2 * length:
                return self.text(f"age.{unit}", count=self.decimal(seconds // length))
        return self.text("age.seconds", count=self.decimal(max(0.0, seconds)))

    def decimal(self, number: float, places: int = 0) -> str:
        """Return the number with so many decimals and the language's separators."""
        text = f"{number:,.{places}f}"
        return text.translate(str.maketrans(",.", ".,")) if self.tag == "de" else text


@cache
def language(tag: str) -> Language:
    """Return the language of this tag, which is one of `LANGUAGES`."""
    catalogue = files("gateway.console") / "catalogues" / f"{tag}.json"
    return Language(tag, json.loads(catalogue.read_text("utf-8")))


def chosen(cookie: str | None, accepted: str) -> Language:
    """Return the language that a person chose, else the first accepted one that there is.

    Parameters
    ----------
    cookie
        The person's choice before.
    accepted
        Accept-Language (RFC 9110, section 12.5.4); browsers list the preferred one first.
    """
    if cookie in LANGUAGES:
        return language(cookie)
    for item in accepted.split(","):
        tag = item.partition(";")[0].strip().partition("-")[0].lower()
        if tag in LANGUAGES:
            return language(tag)
    return language(LANGUAGES[0])
