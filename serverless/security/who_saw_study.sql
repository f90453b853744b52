-- Who saw a study
-- Who touched one study in the last 90 days, by the audit trail: the newest first, refusals too.
-- The parameter is the study's id.
SELECT
    recorded_at,
    agent.kind AS agent_kind,
    agent.name AS agent_name,
    address,
    action,
    operation,
    outcome,
    status,
    image,
    request_id
FROM audit
WHERE recorded_on >= current_date - INTERVAL '90' DAY
  AND contains(studies, ?)
ORDER BY recorded_at DESC
