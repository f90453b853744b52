-- Summary
-- The whole window in one row: how much came in, how it ended, and how long a study took from end
-- to end.
WITH events AS (
    -- Each event once: delivery is at least once, and copies have one id.
    SELECT
        event_id,
        min(occurred_at) AS occurred_at,
        min(study_ref) AS study_ref,
        min(status) AS status,
        min(latency_ms) AS latency_ms,
        min(images) AS images,
        min(instance) AS instance
    FROM telemetry
    WHERE arrived_on >= current_date - INTERVAL '30' DAY  -- the partitions that Athena opens
      AND occurred_at >= current_date - INTERVAL '30' DAY
      AND stage = 'total'
    GROUP BY event_id
)
SELECT
    min(occurred_at) AS first_at,
    max(occurred_at) AS last_at,
    count(*) AS submissions,
    count(DISTINCT study_ref) AS studies,
    sum(CASE WHEN status = 'success' THEN images ELSE 0 END) AS images,
    count_if(status = 'success') AS succeeded,
    count_if(status = 'failed') AS refused,
    count_if(status = 'error') AS errors,
    -- 100e0 is a double: Trino divides decimals to one digit.
    100e0 * count_if(status = 'failed') / count(*) AS refused_percent,
    100e0 * count_if(status = 'error') / count(*) AS error_percent,
    approx_percentile(CASE WHEN status = 'success' THEN latency_ms END, 0.50) AS p50_ms,
    approx_percentile(CASE WHEN status = 'success' THEN latency_ms END, 0.95) AS p95_ms,
    approx_percentile(CASE WHEN status = 'success' THEN latency_ms END, 0.99) AS p99_ms,
    count(DISTINCT instance) AS gateways
FROM events
