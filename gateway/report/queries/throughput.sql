-- Throughput
-- What came to an end in each hour (UTC), and how. A study that was sent twice is two submissions.
WITH events AS (
    SELECT
        event_id,
        min(occurred_at) AS occurred_at,
        min(study_ref) AS study_ref,
        min(status) AS status,
        min(images) AS images,
        min(image_bytes) AS image_bytes
    FROM telemetry
    WHERE arrived_on >= current_date - INTERVAL '30' DAY
      AND occurred_at >= current_date - INTERVAL '30' DAY
      AND stage = 'total'
    GROUP BY event_id
)
SELECT
    date_trunc('hour', occurred_at) AS hour,
    count(*) AS submissions,
    count(DISTINCT study_ref) AS studies,
    sum(CASE WHEN status = 'success' THEN images ELSE 0 END) AS images,
    count_if(status = 'success') AS succeeded,
    count_if(status = 'failed') AS refused,
    count_if(status = 'error') AS errors,
    sum(image_bytes) / 1e6 AS image_mb
FROM events
GROUP BY 1
ORDER BY 1
