-- Studies that reached an outcome in each hour, over the last seven days.
SELECT
    date_trunc('hour', occurred_at) AS hour,
    count(DISTINCT study_ref) AS studies,
    count(DISTINCT CASE WHEN status = 'success' THEN study_ref END) AS successful
FROM telemetry
WHERE arrived_on >= current_date - INTERVAL '7' DAY
GROUP BY 1
ORDER BY 1
