-- Error rates
-- Share of each stage's events that did not succeed, by code: failed is the sender's to mend, error
-- the operator's. Stage total has each such submission once.
WITH events AS (
    SELECT
        event_id,
        min(stage) AS stage,
        min(status) AS status,
        min(error_code) AS error_code
    FROM telemetry
    WHERE arrived_on >= current_date - INTERVAL '30' DAY
      AND occurred_at >= current_date - INTERVAL '30' DAY
    GROUP BY event_id
),
counted AS (
    SELECT
        stage,
        status,
        error_code,
        count(*) AS events,
        sum(count(*)) OVER (PARTITION BY stage) AS events_of_stage
    FROM events
    GROUP BY 1, 2, 3
)
SELECT
    stage,
    status,
    error_code,
    events,
    100e0 * events / events_of_stage AS percent_of_stage
FROM counted
WHERE status <> 'success'
ORDER BY events DESC, stage, error_code
