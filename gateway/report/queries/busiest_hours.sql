-- Busiest hours
-- When submissions come: by weekday (1 is Monday) and hour of the day, both UTC, the busiest first.
-- peak is the most in one such hour.
WITH events AS (
    SELECT
        event_id,
        min(occurred_at) AS occurred_at,
        min(latency_ms) AS latency_ms
    FROM telemetry
    WHERE arrived_on >= current_date - INTERVAL '30' DAY
      AND occurred_at >= current_date - INTERVAL '30' DAY
      AND stage = 'total'
    GROUP BY event_id
),
hours AS (
    SELECT date_trunc('hour', occurred_at) AS hour, count(*) AS submissions
    FROM events
    GROUP BY 1
)
SELECT
    day_of_week(hour) AS weekday,
    hour(hour) AS hour_of_day,
    sum(submissions) AS submissions,
    max(submissions) AS peak
FROM hours
GROUP BY 1, 2
ORDER BY submissions DESC, weekday, hour_of_day
