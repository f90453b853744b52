"""Labels of the DICOM listener stand at 0 from the start."""

from prometheus_client import CollectorRegistry

from gateway.observability.metrics import Metrics


def test_what_is_expected_is_0_until_it_comes():
    metrics = Metrics(CollectorRegistry())
    metrics.dimse.expect(
        ends=["silent"], outcomes=["accepted"], statuses=["0000"], actions=["0112"]
    )
    value = metrics.registry.get_sample_value
    for name, label in {
        "connections_ended": {"reason": "silent"},
        "associations": {"outcome": "accepted"},
        "instances": {"status": "0000"},
        "commitment_requests": {"status": "0112"},
        "commitment_reports": {"outcome": "refused"},
    }.items():
        assert value(f"radstream_dimse_{name}_total", label) == 0
