"""Makes the buckets and the stream of compose.yaml in the emulator; run in the gateway's image."""

import os

from botocore.session import Session

BUCKETS = ("radstream-images", "radstream-results")
STREAM = "radstream-telemetry"


def main() -> None:
    """Make what is not there."""
    session = Session()
    s3 = session.create_client("s3", endpoint_url=os.environ["ENDPOINT"])
    there = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    region = {"LocationConstraint": os.environ["AWS_DEFAULT_REGION"]}
    for bucket in BUCKETS:
        if bucket not in there:
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=region)
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    kinesis = session.create_client("kinesis", endpoint_url=os.environ["ENDPOINT"])
    if STREAM not in kinesis.list_streams()["StreamNames"]:
        kinesis.create_stream(StreamName=STREAM, ShardCount=1)
        kinesis.get_waiter("stream_exists").wait(StreamName=STREAM)


if __name__ == "__main__":
    main()
