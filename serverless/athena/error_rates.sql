-- Share of a stage's events that ended in each error code, over the last seven days.
WITH events AS (
    SELECT DISTINCT event_id, stage, status, error_code
    FROM telemetry
    WHERE arrived_on >= current_date - INTERVAL '7' DAY
),
stages AS (
    SELECT stage, count(*) AS events
    FROM events
    GROUP BY stage
)
SELECT
    events.stage,
    events.status,
    events.error_code,
    count(*) AS failures,
    100.0 * count(*) / max(stages.events) AS percent
FROM events
INNER JOIN stages ON stages.stage = events.stage
WHERE events.status <> 'success'
GROUP BY 1, 2, 3
ORDER BY failures DESC
