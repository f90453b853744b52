"""The sample radiographs are whole, and their documents valid."""

import json

import cv2
import numpy as np

from gateway.console.samples import samples
from gateway.schemas.metadata import validate_document


def test_the_samples_are_pictures_with_valid_documents():
    found = samples()
    assert len({sample.study_id for sample in found}) == len(found) == 3
    for sample in found:
        validate_document(json.loads(sample.document))
        picture = cv2.imdecode(np.frombuffer(sample.image, np.uint8), cv2.IMREAD_GRAYSCALE)
        assert min(picture.shape) > 500
