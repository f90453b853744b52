-- Stage latency
-- Median, 95th and 99th percentile of each stage's time, of what succeeded: by hour (UTC), and over
-- the whole window in the rows without an hour.
WITH events AS (
    SELECT
        event_id,
        min(occurred_at) AS occurred_at,
        min(stage) AS stage,
        min(latency_ms) AS latency_ms
    FROM telemetry
    WHERE arrived_on >= current_date - INTERVAL '30' DAY
      AND occurred_at >= current_date - INTERVAL '30' DAY
      AND status = 'success'
    GROUP BY event_id
),
hourly AS (
    SELECT date_trunc('hour', occurred_at) AS hour, stage, latency_ms
    FROM events
)
SELECT
    hour,
    stage,
    count(*) AS events,
    approx_percentile(latency_ms, 0.50) AS p50_ms,
    approx_percentile(latency_ms, 0.95) AS p95_ms,
    approx_percentile(latency_ms, 0.99) AS p99_ms
FROM hourly
GROUP BY GROUPING SETS ((stage), (hour, stage))
ORDER BY hour NULLS FIRST, stage
