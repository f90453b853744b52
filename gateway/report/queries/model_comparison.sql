-- Model comparison
-- Each version of each model: when it was used, how its submissions ended, its time on Triton and
-- from end to end.
WITH events AS (
    SELECT
        event_id,
        min(occurred_at) AS occurred_at,
        min(stage) AS stage,
        min(status) AS status,
        min(latency_ms) AS latency_ms,
        min(model) AS model,
        min(model_version) AS model_version
    FROM telemetry
    WHERE arrived_on >= current_date - INTERVAL '30' DAY
      AND occurred_at >= current_date - INTERVAL '30' DAY
      AND stage IN ('infer', 'total')
      AND model IS NOT NULL
    GROUP BY event_id
),
marked AS (
    SELECT
        *,
        CASE WHEN stage = 'infer' AND status = 'success' THEN latency_ms END AS infer_ms,
        CASE WHEN stage = 'total' AND status = 'success' THEN latency_ms END AS total_ms
    FROM events
)
SELECT
    model,
    model_version,
    min(occurred_at) AS first_at,
    max(occurred_at) AS last_at,
    count_if(stage = 'total') AS submissions,
    100e0 * count_if(stage = 'total' AND status = 'failed')
        / nullif(count_if(stage = 'total'), 0) AS refused_percent,
    100e0 * count_if(stage = 'total' AND status = 'error')
        / nullif(count_if(stage = 'total'), 0) AS error_percent,
    approx_percentile(infer_ms, 0.50) AS infer_p50_ms,
    approx_percentile(infer_ms, 0.95) AS infer_p95_ms,
    approx_percentile(total_ms, 0.50) AS total_p50_ms,
    approx_percentile(total_ms, 0.95) AS total_p95_ms
FROM marked
GROUP BY 1, 2
ORDER BY model, TRY_CAST(model_version AS bigint)
