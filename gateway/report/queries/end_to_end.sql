-- End to end
-- What a study took from its last byte to its answer, by day (UTC) and way in, of what succeeded.
WITH events AS (
    SELECT
        event_id,
        min(occurred_at) AS occurred_at,
        min(route) AS route,
        min(latency_ms) AS latency_ms
    FROM telemetry
    WHERE arrived_on >= current_date - INTERVAL '30' DAY
      AND occurred_at >= current_date - INTERVAL '30' DAY
      AND stage = 'total'
      AND status = 'success'
    GROUP BY event_id
)
SELECT
    CAST(occurred_at AS date) AS day,
    route,
    count(*) AS submissions,
    approx_percentile(latency_ms, 0.50) AS p50_ms,
    approx_percentile(latency_ms, 0.95) AS p95_ms,
    approx_percentile(latency_ms, 0.99) AS p99_ms,
    max(latency_ms) AS slowest_ms
FROM events
GROUP BY 1, 2
ORDER BY 1, 2
