"""Files of a model repository to publish."""

FILES = {
    "plain/config.pbtxt": b'name: "plain"',
    "plain/1/model.onnx": bytes(range(256)) * 9000,  # more than one piece
    "plain/README.md": b"card",
    "both/config.pbtxt": b'platform: "ensemble"',
}
