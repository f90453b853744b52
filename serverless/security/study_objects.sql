-- Who touched a study's objects
-- Who read, wrote or deleted objects of one study in S3 in the last 90 days, by CloudTrail: the newest first,
-- refusals too.
-- The parameter is the study's id, which is a folder of the objects' keys.
SELECT
    eventtime,
    useridentity.type AS identity_type,
    coalesce(useridentity.arn, useridentity.invokedby, useridentity.accountid) AS identity,
    sourceipaddress,
    useragent,
    eventname,
    errorcode,
    json_extract_scalar(requestparameters, '$.bucketName') AS bucket,
    json_extract_scalar(requestparameters, '$.key') AS object_key,
    requestid
FROM cloudtrail
WHERE day >= date_format(current_date - INTERVAL '90' DAY, '%Y/%m/%d')
  AND eventsource = 's3.amazonaws.com'
  AND contains(split(json_extract_scalar(requestparameters, '$.key'), '/'), ?)
ORDER BY eventtime DESC
