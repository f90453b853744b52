"""The packaged stack, made once for all tests, and a receiver in the gateway's place."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from tests.serverless.glue_tables import Tables
from tests.serverless.receiver import Receiver, receiving
from tests.support.aws import Package, package

PRIMARY_KEY = "mrk-0123456789abcdef0123456789abcdef"

# Every optional part on. The values have the form of real ones, which cfn-lint looks at.
EVERYTHING = {
    "gatewayUrl": "https://radstream.hospital.test",
    "apiKeyParameter": "/radstream/prod/key",
    "forwarderSubnets": "subnet-0123456789abcdef0",
    "forwarderSecurityGroups": "sg-0123456789abcdef0",
    "forwarderConcurrency": "20",
    "alarmEmail": "radiology-it@example.org",
    "kinesisShards": "4",
    "oidcProvider": "oidc.eks.eu-central-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE",
    "guardDuty": "true",
    "malwareProtection": "true",
    "loadBalancer": "app/k8s-radstream/0123456789abcdef",
    "targetGroup": "targetgroup/k8s-radstream/0123456789abcdef",
    "cloudTrail": "true",
    "quickSightUser": "arn:aws:quicksight:eu-central-1:210987654321:user/default/analyst",
    "replicaRegion": "eu-west-1",
    "replicaKeyId": PRIMARY_KEY,
    "dataKey": "primary",
    "primaryKeyArn": f"arn:aws:kms:eu-central-1:210987654321:key/{PRIMARY_KEY}",
    "dataKey-eu-west-1": "replica",
    "vpcId": "vpc-0123456789abcdef0",
    "routeTables": "rtb-0123456789abcdef0",
    "endpointSubnets": "subnet-0123456789abcdef0",
    "endpointSecurityGroups": "sg-0123456789abcdef0",
}


@pytest.fixture(scope="session")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Package:
    """What `serverless package` writes for the stage dev."""
    return package(tmp_path_factory.mktemp("dev"), stage="dev")


@pytest.fixture(scope="session")
def prod(tmp_path_factory: pytest.TempPathFactory) -> Package:
    """The stage prod with every optional part."""
    return package(tmp_path_factory.mktemp("prod"), stage="prod", **EVERYTHING)


@pytest.fixture(scope="session")
def second(tmp_path_factory: pytest.TempPathFactory) -> Package:
    """The same stage in the region that gets the copies."""
    folder = tmp_path_factory.mktemp("second")
    return package(folder, stage="prod", region="eu-west-1", **EVERYTHING)


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """A live HTTPS server that records what it is sent."""
    with receiving(tmp_path_factory.mktemp("receiver")) as receiver:
        yield receiver


@pytest.fixture
def tables(dev: Package, tmp_path: Path) -> Iterator[Tables]:
    """Empty tables, to be filled."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield Tables(dev, tmp_path, connection)
