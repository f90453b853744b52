"""A study's parts are all that was sent, or its images."""

import dataclasses

from tests.gateway.studies.piped import study


def test_parts_are_the_images_where_nothing_else_was_sent():
    assert study(b"one", b"two").parts == {"image[0]": b"one", "image[1]": b"two"}


def test_parts_are_all_that_was_sent_with_the_images():
    sent = (("image[0]", b"broken"), ("image[1]", b"one"))
    whole = dataclasses.replace(study(b"one"), sent=sent)
    assert list(whole.parts.items()) == list(sent)
    assert whole.metadata is whole.images[0].metadata
