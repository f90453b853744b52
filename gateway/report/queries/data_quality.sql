-- Data quality
-- What is wrong with the telemetry itself, and in how many of the records, events or studies looked
-- at.
WITH events AS (
    -- Each event once; its copies should be alike, so that the least of their values is each one's.
    SELECT
        event_id,
        count(*) AS copies,
        min(study_ref) <> max(study_ref)
            OR min(stage) <> max(stage)
            OR min(status) <> max(status)
            OR min(latency_ms) <> max(latency_ms)
            OR min(occurred_at) <> max(occurred_at) AS contradicting,
        min(arrived_on) AS arrived_on,
        min(schema) AS schema,
        min(occurred_at) AS occurred_at,
        min(study_ref) AS study_ref,
        min(stage) AS stage,
        min(status) AS status,
        min(error_code) AS error_code,
        min(latency_ms) AS latency_ms,
        min(images) AS images,
        min(image_bytes) AS image_bytes,
        min(rows) AS rows,
        min(columns) AS columns
    FROM telemetry
    WHERE arrived_on >= current_date - INTERVAL '30' DAY
      AND occurred_at >= current_date - INTERVAL '30' DAY
    GROUP BY event_id
),
studies AS (
    SELECT
        study_ref,
        max(occurred_at) AS last_at,
        count_if(stage = 'validate') AS validated,
        count_if(stage = 'admit' AND status = 'success') AS admitted,
        count_if(stage = 'decode') AS decoded,
        count_if(stage = 'tensor') AS prepared,
        count_if(stage = 'infer') AS inferred,
        count_if(stage = 'store' AND status = 'success') AS stored,
        count_if(stage = 'total') AS ended,
        count_if(stage = 'total' AND status = 'success') AS succeeded
    FROM events
    GROUP BY 1
    -- What ended in the window's first hour may have begun before it.
    HAVING min(occurred_at)
        >= CAST(current_date - INTERVAL '30' DAY AS timestamp) + INTERVAL '1' HOUR
),
checks AS (
    SELECT
        'copies' AS check_name,
        sum(copies - 1) AS found,
        sum(copies) AS looked_at,
        'Records that came more than once; every query counts them once.' AS meaning
    FROM events
    UNION ALL
    SELECT
        'contradicting copies',
        count_if(contradicting),
        count(*),
        'Events told twice and not alike: of studies whose gateway died before it noted their end.'
    FROM events
    UNION ALL
    SELECT
        'unknown schema, stage or status',
        count_if(
            schema IS NULL OR schema NOT IN ('radstream.telemetry/1', 'radstream.telemetry/2')
            -- What has a schema 2 is of a reading, not of a stage.
            OR schema = 'radstream.telemetry/1' AND (
                status IS NULL OR status NOT IN ('success', 'failed', 'error')
                OR stage IS NULL OR stage NOT IN
                    ('validate', 'admit', 'decode', 'tensor', 'infer', 'store', 'total')
            )
        ),
        count(*),
        'Events that these queries pass over or misread.'
    FROM events
    UNION ALL
    SELECT
        'impossible values',
        count_if(
            study_ref IS NULL
            OR schema = 'radstream.telemetry/1' AND latency_ms IS NULL
            OR latency_ms < 0 OR latency_ms > 86400000
            OR images < 0 OR image_bytes < 0 OR rows < 1 OR columns < 1
            OR (status = 'success') <> (error_code IS NULL)
        ),
        count(*),
        'Events with a time, a size or an error code that cannot be.'
    FROM events
    UNION ALL
    SELECT
        'clock ahead',
        count_if(
            occurred_at >= CAST(arrived_on AS timestamp) + INTERVAL '1' DAY
            OR occurred_at > localtimestamp + INTERVAL '5' MINUTE
        ),
        count(*),
        'Events of a later time than their arrival: set the clock of the gateway.'
    FROM events
    UNION ALL
    SELECT
        'late arrivals',
        count_if(CAST(arrived_on AS timestamp) > occurred_at + INTERVAL '1' HOUR),
        count(*),
        'Events that came on a later day, over an hour after they occurred: from a spool.'
    FROM events
    UNION ALL
    SELECT
        'missing stages',
        count_if(
            ended > validated OR succeeded > admitted OR succeeded > stored
            OR inferred > prepared OR prepared > decoded
        ),
        count(*),
        'Studies that have a later stage without an earlier one: events were lost.'
    FROM studies
    UNION ALL
    SELECT
        'missing ends',
        count_if(ended < validated AND last_at < localtimestamp - INTERVAL '15' MINUTE),
        count(*),
        'Studies whose total has not come within 15 minutes: events were lost, or are in a spool.'
    FROM studies
)
SELECT
    check_name,
    coalesce(found, 0) AS found,
    coalesce(looked_at, 0) AS looked_at,
    100e0 * found / nullif(looked_at, 0) AS percent,
    meaning
FROM checks
ORDER BY check_name
