"""Text for people has no control characters, whichever part looks for them."""

import re

from gateway.schemas.printable import PRINTABLE
from preprocess.character_sets import has_control_characters


def test_the_pattern_refuses_control_characters_alone():
    texts = [chr(number) for number in range(0x3000)]
    refused = [text for text in texts if not re.search(PRINTABLE, text)]
    assert refused == [text for text in texts if has_control_characters(text)]
    assert not re.search(PRINTABLE, "")
