-- Faults and slow answers by target
-- Answers with 5xx, and those that took a gateway longer than ten seconds, by load balancer and target, in the
-- last 30 days.
-- A target of none is the load balancer's own answer; its times are -1 then.
SELECT
    elb,
    CASE WHEN target_ip = '' THEN 'none' ELSE target_ip END AS target,
    count(*) AS requests,
    count_if(elb_status_code >= 500) AS answers_5xx,
    count_if(elb_status_code >= 500 AND target_status_code = '-') AS load_balancers_own_5xx,
    count_if(target_processing_time > 10) AS slow,
    approx_percentile(CASE WHEN target_processing_time >= 0 THEN target_processing_time END, 0.95) AS p95_s,
    max(CASE WHEN target_processing_time >= 0 THEN target_processing_time END) AS max_s,
    max(CASE WHEN elb_status_code >= 500 THEN time END) AS last_5xx_at
FROM alb
WHERE day >= date_format(current_date - INTERVAL '30' DAY, '%Y/%m/%d')
GROUP BY 1, 2
ORDER BY answers_5xx DESC, slow DESC
