"""Records of the audit trail and of AWS's logs, as they lie in the buckets."""

import datetime as dt
import json
from typing import Any

from gateway.schemas.audit import AuditRecord

NOW = dt.datetime.now(dt.UTC)
YESTERDAY = NOW - dt.timedelta(days=1)
LONG_AGO = NOW - dt.timedelta(days=99)


def record(name: str, studies: list[str], when: dt.datetime, **fields: Any) -> dict[str, Any]:
    """One record, as it lies in the bucket."""
    written = AuditRecord.model_validate(
        {
            "schema": "radstream.audit/1",
            "id": "6f0c7f0e-52c4-4b4e-9a56-6a4f0a8d1c11",
            "recorded_at": when,
            "operation": "GET /v1/studies/{study_id}",
            "action": "R",
            "outcome": "success",
            "agent": {"kind": "key", "name": name},
            "studies": studies,
            "instance": "gateway-0",
            **fields,
        }
    )
    document: dict[str, Any] = json.loads(written.model_dump_json(by_alias=True))
    return document


def refusal(rule: str, path: str, when: dt.datetime, **fields: Any) -> dict[str, Any]:
    """One record of a web ACL's log, as the WAF Developer Guide shows them."""
    return {
        "timestamp": int(when.timestamp() * 1000),
        "formatVersion": 1,
        "webaclId": "arn:aws:wafv2:eu-central-1:123456789012:regional/webacl/radstream-dev/1",
        "terminatingRuleId": rule,
        "terminatingRuleType": "REGULAR",
        "action": "BLOCK",
        "terminatingRuleMatchDetails": [],
        "httpSourceName": "ALB",
        "httpSourceId": "123456789012-app/k8s-radstream/0123456789abcdef",
        "ruleGroupList": [],
        "rateBasedRuleList": [],
        "nonTerminatingMatchingRules": [],
        "requestHeadersInserted": None,
        "responseCodeSent": None,
        "httpRequest": {
            "clientIp": "203.0.113.42",
            "country": "AU",
            "headers": [{"name": "User-Agent", "value": "curl/7.61.1"}],
            "uri": path,
            "args": "XXX",
            "httpVersion": "HTTP/1.1",
            "httpMethod": "GET",
            "requestId": "1-6747f0aa-0123456789abcdef01234567",
        },
        "labels": [{"name": "awswaf:managed:aws:sql-database:SQLi_QueryArguments"}],
        **fields,
    }


def finding(identity: str, when: dt.datetime, severity: float, count: int) -> dict[str, Any]:
    """One line of an exported file, as the GuardDuty User Guide shows findings."""
    at = when.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return {
        "schemaVersion": "2.0",
        "accountId": "123456789012",
        "region": "eu-central-1",
        "partition": "aws",
        "id": identity,
        "arn": f"arn:aws:guardduty:eu-central-1:123456789012:detector/1/finding/{identity}",
        "type": "Exfiltration:S3/AnomalousBehavior",
        "resource": {
            "resourceType": "AccessKey",
            "accessKeyDetails": {"accessKeyId": "ASIAIOSFODNN7EXAMPLE", "userName": "Admin"},
        },
        "service": {
            "serviceName": "guardduty",
            "detectorId": "1",
            "action": {"actionType": "AWS_API_CALL"},
            "eventFirstSeen": "2026-11-20T06:00:00.000Z",
            "eventLastSeen": at,
            "archived": False,
            "count": count,
        },
        "severity": severity,
        "createdAt": "2026-11-20T06:05:00.000Z",
        "updatedAt": at,
        "title": f"Seen {count} times",
        "description": "An identity read S3 objects in an unusual way.",
    }
