INSERT INTO firewall_blocks_daily
-- Requests that the firewall refused, by day of delivery, rule and country.
-- Of the last seven days those that the table lacks. managed_rule is the one within a managed group
-- that matched.
SELECT
    terminatingruleid AS rule,
    array_join(
        transform(rulegrouplist, rule_group -> rule_group.terminatingrule.ruleid), ', '
    ) AS managed_rule,
    httprequest.country AS country,
    count(*) AS requests,
    CAST(date_parse(day, '%Y/%m/%d') AS date) AS day
FROM waf
WHERE day >= date_format(current_date - INTERVAL '7' DAY, '%Y/%m/%d')
  AND day < date_format(current_date, '%Y/%m/%d')
  AND action = 'BLOCK'
  AND day NOT IN (
      SELECT date_format(day, '%Y/%m/%d')
      FROM firewall_blocks_daily
      WHERE day >= current_date - INTERVAL '7' DAY
  )
GROUP BY 1, 2, 3, 5
