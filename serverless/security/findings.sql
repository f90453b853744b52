-- Findings of GuardDuty
-- Each finding of the last 90 days as it stood last, with the times it was seen: the most severe first.
SELECT
    id,
    max_by(type, updatedat) AS type,
    max(CAST(severity AS double)) AS severity,
    max_by(title, updatedat) AS title,
    max_by(json_extract_scalar(resource, '$.resourceType'), updatedat) AS resource_type,
    max(CAST(json_extract_scalar(service, '$.count') AS integer)) AS times_seen,
    min(json_extract_scalar(service, '$.eventFirstSeen')) AS first_seen,
    max(json_extract_scalar(service, '$.eventLastSeen')) AS last_seen
FROM guardduty
WHERE day >= date_format(current_date - INTERVAL '90' DAY, '%Y/%m/%d')
GROUP BY id
ORDER BY severity DESC, last_seen DESC
