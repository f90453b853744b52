-- Cost per 1000 images
-- What a thousand images cost at the prices below, by day (UTC), and over the whole window in the
-- row without a day.
WITH prices AS (
    -- US dollars. These are AWS's list prices of us-east-1, on demand and without a free tier, as
    -- generally published; read yours off the pages named and put them here.
    SELECT
        -- EC2 g4dn.xlarge with Linux for a gateway and its Triton:
        -- aws.amazon.com/ec2/pricing/on-demand
        DOUBLE '0.526' AS instance_hour,
        -- S3 Standard: aws.amazon.com/s3/pricing
        DOUBLE '0.023' AS stored_gb_month,
        DOUBLE '0.005' AS put_requests_1000,
        -- Kinesis on demand, 1 KB an event at 0.08 a GB, and Firehose with Parquet, 5 KB an event
        -- at 0.029 + 0.018 a GB: aws.amazon.com/kinesis/data-streams/pricing, /firehose/pricing
        DOUBLE '0.30' AS events_million,
        -- How long what is stored is paid for.
        DOUBLE '12' AS stored_months
),
events AS (
    SELECT
        event_id,
        min(occurred_at) AS occurred_at,
        min(stage) AS stage,
        min(status) AS status,
        min(images) AS images,
        min(image_bytes) AS image_bytes,
        min(instance) AS instance
    FROM telemetry
    WHERE arrived_on >= current_date - INTERVAL '30' DAY
      AND occurred_at >= current_date - INTERVAL '30' DAY
    GROUP BY event_id
),
instances AS (
    -- A gateway is paid for from its first event of a day to its last, idle or not: a minute at
    -- least, as EC2 counts.
    SELECT
        CAST(occurred_at AS date) AS day,
        greatest(date_diff('second', min(occurred_at), max(occurred_at)), 60) / 3600e0 AS hours
    FROM events
    GROUP BY CAST(occurred_at AS date), instance
),
used AS (
    SELECT day, hours, 0 AS events, 0 AS images, 0 AS image_bytes, 0 AS puts
    FROM instances
    UNION ALL
    -- Of a study that succeeds its document is written once, and each of its images.
    SELECT
        CAST(occurred_at AS date),
        0,
        1,
        CASE WHEN stage = 'total' AND status = 'success' THEN images ELSE 0 END,
        CASE WHEN stage = 'total' AND status = 'success' THEN image_bytes ELSE 0 END,
        CASE WHEN stage = 'total' AND status = 'success' THEN 1 + images ELSE 0 END
    FROM events
),
days AS (
    SELECT
        day,
        sum(images) AS images,
        sum(hours) AS instance_hours,
        sum(hours * instance_hour) AS compute_usd,
        sum(image_bytes / 1e9 * stored_gb_month * stored_months) AS storage_usd,
        sum(puts / 1e3 * put_requests_1000) AS requests_usd,
        sum(events / 1e6 * events_million) AS telemetry_usd
    FROM used
    CROSS JOIN prices
    GROUP BY GROUPING SETS ((), (day))
)
SELECT
    day,
    images,
    instance_hours,
    compute_usd,
    storage_usd,
    requests_usd,
    telemetry_usd,
    1e3 * (compute_usd + storage_usd + requests_usd + telemetry_usd)
        / nullif(images, 0) AS usd_per_1000_images
FROM days
ORDER BY day NULLS FIRST
