-- Denied requests
-- Requests that the gateway refused in the last 30 days, by day, caller, operation and status. Refusals that the
-- trail counted and did not record one by one are a row of their own.
-- Such a count stands in the next record, whatever that is of.
WITH records AS (
    SELECT recorded_on, agent, address, operation, status, outcome, left_out
    FROM audit
    WHERE recorded_on >= current_date - INTERVAL '30' DAY
)

SELECT
    recorded_on,
    agent.kind AS agent_kind,
    agent.name AS agent_name,
    address,
    operation,
    status,
    count(*) AS requests
FROM records
WHERE outcome = 'refused'
GROUP BY 1, 2, 3, 4, 5, 6
UNION ALL
SELECT recorded_on, 'anonymous', NULL, NULL, 'not recorded one by one', NULL, sum(left_out)
FROM records
WHERE left_out > 0
GROUP BY recorded_on
ORDER BY recorded_on DESC, requests DESC
