"""The series of metrics: which there are, and which label values there may ever be."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus

from fastapi.routing import iter_route_contexts
from prometheus_client.parser import text_string_to_metric_families

from gateway.app.application import create_app
from gateway.dimse.associate_request import Rejection
from gateway.dimse.commitment_messages import ActionStatus
from gateway.dimse.connections import ENDS
from gateway.errors import RadStreamError, Refusal
from gateway.monitoring.features import FEATURES
from gateway.monitoring.signals import NOT_APPLICABLE
from gateway.observability.metrics.delivery import OUTCOMES
from gateway.observability.metrics.shadow import DROPPED
from gateway.results.shadows import VERDICTS
from gateway.results.tombstone import Reason
from gateway.routing.rules import BUILT_IN
from gateway.routing.rules import Outcome as RoutingOutcome
from gateway.schemas.events import Outcome
from gateway.schemas.routing_rules import Lane
from gateway.schemas.telemetry import Stage
from gateway.settings import Settings
from gateway.studies.dicom_instance import FailureReason
from gateway.studies.study import Route
from preprocess import MediaType

Series = tuple[str, tuple[tuple[str, str], ...]]
Labels = Mapping[str, set[str]]

BRIGHTNESS: Labels = {
    "model": {"brightness"},
    "version": {"1"},
    "label": {"bright"},
    "credential": set(),
    "caller": set(),
    "rule": set(),
    "destination": set(),
}


def series(text: str) -> set[Series]:
    """Name and labels of each of the gateway's own samples in Prometheus' text format."""
    return {
        (sample.name, tuple(sorted(sample.labels.items())))
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("radstream_")
    }


def allowed(chosen: Labels) -> Mapping[str, Labels]:
    """By metric, which values each label may have.

    Parameters
    ----------
    chosen
        Values of the operator's: `model`, `version` and `label` of what Triton serves, the ids of
        `credential`, the names of keys, `caller`, of rules, `rule`, and of destinations.
    """
    contexts = iter_route_contexts(create_app(Settings()).routes)
    routes = {context.path for context in contexts} | {"unmatched", "/docs/assets"}
    statuses = {str(status.value) for status in HTTPStatus} | {"499"}
    methods = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"}
    destination = {"destination": chosen["destination"]}
    version = {"model": chosen["model"], "version": chosen["version"]}
    by_label = {
        f"{name}/{label}"
        for name in ("positive", "near", "probability")
        for label in chosen["label"]
    }
    unusual = {f"unusual/{name}" for name, each in FEATURES.items() if each.is_ordered}
    signal = version | {"signal": {NOT_APPLICABLE} | set(FEATURES) | unusual | by_label}
    ways_in, errors = set(Route), {error.label for error in _subclasses(RadStreamError)}
    return {
        "radstream_http_requests": {"route": routes, "method": methods, "status": statuses},
        "radstream_http_request_seconds": {"route": routes},
        "radstream_studies": {
            "route": ways_in,
            "outcome": errors | {"completed", "partial", "replayed", "cancelled"},
        },
        "radstream_caller_studies": {
            "caller": chosen["caller"] | {"oidc", "anonymous", "dropfolder", "unknown"},
            "outcome": errors | {"completed", "partial", "replayed", "cancelled"},
        },
        "radstream_study_seconds": {"route": ways_in},
        "radstream_study_freshness_seconds": {"route": ways_in},
        "radstream_lane_seconds": {"lane": set(Lane)},
        "radstream_stage_seconds": {"stage": set(Stage)},
        "radstream_images": {"media_type": set(MediaType), "outcome": {"read", "replayed"}},
        "radstream_findings": {
            "model": chosen["model"],
            "version": chosen["version"],
            "label": chosen["label"],
            "positive": {"true", "false", "not_applicable"},
        },
        "radstream_delivery_items": destination | {"state": {"waiting", "parked"}},
        "radstream_delivery_oldest_age_seconds": destination,
        "radstream_delivery_attempts": destination | {"outcome": set(OUTCOMES)},
        "radstream_delivery_circuit_open": destination,
        "radstream_dimse_connections_ended": {"reason": set(ENDS)},
        "radstream_dimse_associations": {
            "outcome": {"accepted"} | {rejection.name.lower() for rejection in Rejection}
        },
        "radstream_routed_images": {"outcome": set(RoutingOutcome)},
        "radstream_rule_images": {"rule": chosen["rule"] | {rule.name for rule in BUILT_IN}},
        "radstream_canary_rolled_back": {"model": chosen["model"], "version": chosen["version"]},
        "radstream_shadow_dropped": {"reason": set(DROPPED)},
        "radstream_shadow_readings": {
            "model": chosen["model"],
            "version": chosen["version"],
            "outcome": {"read", "failed"},
        },
        "radstream_agreement_pairs": {**_pair(chosen), "verdicts": set(VERDICTS)},
        "radstream_agreement_difference": _pair(chosen),
        "radstream_stow_instances": {
            "reason": {"0000"} | {f"{reason:04X}" for reason in FailureReason}
        },
        "radstream_dimse_instances": {
            "status": {"0000"} | {f"{reason:04X}" for reason in FailureReason}
        },
        "radstream_dimse_commitment_requests": {
            "status": {f"{status:04X}" for status in ActionStatus}
        },
        "radstream_dimse_commitment_reports": {"outcome": {"taken", "refused", "given_up"}},
        "radstream_dropfolder_deliveries": {"route": ways_in, "outcome": set(Outcome)},
        "radstream_callbacks": {"outcome": {"delivered", "refused", "given_up"}},
        "radstream_studies_complete": {"by": {"quiet", "count"}},
        "radstream_studies_incomplete": {"action": {"deliver", "hold"}},
        "radstream_studies_deleted": {"reason": set(Reason)},
        "radstream_tenant_quota_rejected": {
            "tenant": set(),
            "quota": {
                *("studies_at_once", "studies_per_minute", "bytes_per_minute"),
                *("studies_per_day", "bytes_per_day"),
            },
        },
        "radstream_admission_rejected": {
            "reason": {"studies", "bytes", "caller", "line", "pictures", "connections"}
        },
        "radstream_inference_errors": {"error": errors},
        "radstream_model_reloads": {
            "model": chosen["model"],
            "outcome": {"reloaded", "refused", "hung"},
        },
        "radstream_model_ready": {"model": chosen["model"], "version": chosen["version"]},
        "radstream_model_signal": signal,
        "radstream_model_drift_alarm": signal,
        "radstream_monitored_readings": version,
        "radstream_model_reference_whole": version,
        "radstream_model_silent": version,
        "radstream_stop_rule_broken": version | {"rule": {"drift"}},
        "radstream_monitoring_dropped_readings": {"reason": {"store", "late"}},
        "radstream_auth_failures": {
            "reason": {refusal.name.lower() for refusal in Refusal}
            | {"missing", "ambiguous", "issuer_unavailable", "scope"}
        },
        "radstream_issuer_key_fetches": {"outcome": {"succeeded", "failed"}},
        # The operator's own: the ids in the key file, and the certificate.
        "radstream_credential_expires_timestamp_seconds": {"credential": chosen["credential"]},
        "radstream_telemetry_dropped": {"reason": {"queue_full", "spool_full", "damaged"}},
    }


def _pair(chosen: Labels) -> Labels:
    return {
        "shadow": chosen["model"],
        "shadow_version": chosen["version"],
        "model": chosen["model"],
        "version": chosen["version"],
        "label": chosen["label"],
    }


def _subclasses(kind: type[RadStreamError]) -> Iterator[type[RadStreamError]]:
    for subclass in kind.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)
