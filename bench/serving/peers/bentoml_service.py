"""BentoML with the model in its workers, as its documentation does it: `bentoml serve`."""

import os
from pathlib import Path
from typing import Annotated

import bentoml
from bentoml.validators import ContentType
from reading import findings, session, tensor


@bentoml.service(workers=os.cpu_count(), traffic={"timeout": 60, "max_concurrency": 256})
class Reader:
    """One method, one worker a core."""

    def __init__(self) -> None:
        self.session = session()

    @bentoml.api(route="/v1/studies")
    def study(
        self,
        image: Annotated[Path, ContentType("image/jpeg")],
        metadata: dict[str, str],  # noqa: ARG002 - part of the form
    ) -> dict[str, list[float]]:
        """Decode and read."""
        return findings(self.session.run(["logits"], {"image": tensor(image.read_bytes())})[0])
