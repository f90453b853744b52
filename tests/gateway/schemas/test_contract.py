"""A contract's document, with its golden image decoded."""

import base64

from tests.gateway.models.configs import parsed
from tests.support.models import contract


def test_golden_image_is_the_decoded_file():
    assert parsed().golden.image.startswith(b"\x89PNG")
    assert base64.b64decode(contract()["golden"]["image"]) == parsed().golden.image
