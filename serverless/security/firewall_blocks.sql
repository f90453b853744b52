-- Refused by the firewall
-- What the firewall refused in the last 30 days, by rule, country and path: the most frequent first.
-- rule is the web ACL's, managed_rule the one within a managed group that matched.
SELECT
    terminatingruleid AS rule,
    array_join(
        transform(rulegrouplist, rule_group -> rule_group.terminatingrule.ruleid), ', '
    ) AS managed_rule,
    httprequest.country AS country,
    httprequest.httpmethod AS method,
    httprequest.uri AS path,
    count(*) AS requests,
    count(DISTINCT httprequest.clientip) AS addresses,
    min_by(httprequest.clientip, "timestamp") AS first_address,
    date_format(from_unixtime(min("timestamp") / 1000), '%Y-%m-%d %H:%i:%s') AS first_at,
    date_format(from_unixtime(max("timestamp") / 1000), '%Y-%m-%d %H:%i:%s') AS last_at
FROM waf
WHERE day >= date_format(current_date - INTERVAL '30' DAY, '%Y/%m/%d')
  AND action = 'BLOCK'
GROUP BY 1, 2, 3, 4, 5
ORDER BY requests DESC, last_at DESC
LIMIT 1000
