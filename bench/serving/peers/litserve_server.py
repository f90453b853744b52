"""LitServe with the model in its workers, as its documentation does it; it listens at PORT."""

import os

import litserve
from reading import findings, session, tensor


class Reader(litserve.LitAPI):
    """Decode, predict, encode."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - the framework passes it
        """Load the model, once a worker."""
        self.session = session()

    def decode_request(self, request):  # noqa: ANN001, ANN201 - it reads these annotations
        """The image part of the form."""
        return tensor(request["image"].file.read())

    def predict(self, x: object) -> object:
        """The logits."""
        return self.session.run(["logits"], {"image": x})[0]

    def encode_response(self, output: object) -> dict[str, list[float]]:
        """Probabilities."""
        return findings(output)


if __name__ == "__main__":
    server = litserve.LitServer(
        Reader(api_path="/v1/studies"), accelerator="cpu", workers_per_device=os.cpu_count()
    )
    server.run(port=int(os.environ["PORT"]), host="127.0.0.1", generate_client_file=False)
