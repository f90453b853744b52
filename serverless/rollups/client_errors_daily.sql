INSERT INTO client_errors_daily
-- Answers with 4xx by day, caller, operation and status, by the audit trail; denied are those with 401 and 403.
-- Of the last seven days those that the table lacks. A caller is named as in telemetry: by the name
-- that the operator gave a key, never by whom a token names.
WITH records AS (
    SELECT
        CASE
            WHEN agent.kind = 'key' THEN agent.name
            WHEN agent.kind = 'token' THEN 'oidc'
            ELSE coalesce(agent.kind, 'anonymous')
        END AS caller,
        operation,
        outcome,
        status,
        left_out,
        recorded_on AS day
    FROM audit
    WHERE recorded_on >= current_date - INTERVAL '7' DAY
      AND recorded_on < current_date
      AND recorded_on NOT IN (
          SELECT day FROM client_errors_daily WHERE day >= current_date - INTERVAL '7' DAY
      )
)
SELECT
    caller,
    operation,
    CAST(status AS varchar) AS status,
    count(*) AS requests,
    count_if(outcome = 'refused') AS denied,
    day
FROM records
WHERE status BETWEEN 400 AND 499
GROUP BY 1, 2, 3, 6
UNION ALL
-- Counted in the next record, whatever that is of: a flood is not recorded one by one.
SELECT 'anonymous', 'not recorded one by one', '401', sum(left_out), sum(left_out), day
FROM records
WHERE left_out > 0
GROUP BY day
