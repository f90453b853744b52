-- Median, 95th and 99th percentile of each stage's time by hour, over the last seven days.
WITH events AS (
    SELECT DISTINCT event_id, occurred_at, stage, latency_ms
    FROM telemetry
    WHERE arrived_on >= current_date - INTERVAL '7' DAY
      AND status = 'success'
)
SELECT
    date_trunc('hour', occurred_at) AS hour,
    stage,
    count(*) AS events,
    approx_percentile(latency_ms, 0.50) AS p50_ms,
    approx_percentile(latency_ms, 0.95) AS p95_ms,
    approx_percentile(latency_ms, 0.99) AS p99_ms
FROM events
GROUP BY 1, 2
ORDER BY 1, 2
