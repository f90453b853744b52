INSERT INTO findings_daily
-- Findings of GuardDuty that were new or seen again, by day of export, type, resource and severity.
-- Of the last seven days those that the table lacks.
SELECT
    type,
    json_extract_scalar(resource, '$.resourceType') AS resource_type,
    -- GuardDuty's own steps.
    CASE
        WHEN CAST(severity AS double) >= 9 THEN 'critical'
        WHEN CAST(severity AS double) >= 7 THEN 'high'
        WHEN CAST(severity AS double) >= 4 THEN 'medium'
        ELSE 'low'
    END AS severity,
    count(DISTINCT id) AS findings,
    CAST(date_parse(day, '%Y/%m/%d') AS date) AS day
FROM guardduty
WHERE day >= date_format(current_date - INTERVAL '7' DAY, '%Y/%m/%d')
  AND day < date_format(current_date, '%Y/%m/%d')
  AND day NOT IN (
      SELECT date_format(day, '%Y/%m/%d')
      FROM findings_daily
      WHERE day >= current_date - INTERVAL '7' DAY
  )
GROUP BY 1, 2, 3, 5
