"""Cost of a study on AWS, from list prices and measured work."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

HOURS_A_MONTH = 730
PRICES = Path(__file__).with_name("prices.toml")
# Of a study's way into the search index, where it comes alone: its pointers (by patient, order and
# Study Instance UID), the object of its entry, and that one's merge into its day, which lists the
# day, reads two objects and writes one. Studies of the same half minute share all but the pointers.
POINTERS = 3
INDEX_PUTS, INDEX_GETS = POINTERS + 1 + 2, 2


@dataclass(frozen=True)
class Study:
    """Resources that one study uses.

    Attributes
    ----------
    cpu_s : float
        Seconds of a core, gateway and Triton together, as measured.
    copies : float
        Of the image in S3: one beside the result, and the one that was dropped; there a heat map
        too, of 0.28 MB.
    puts, gets : int
        Requests to S3, of which a listing is paid for like a put; counted by `bench.s3_times`.
        Those of a dropped study are its own two, and those of its pairing. Those of the search
        index follow the answer.
    dropped : int
        Objects that EventBridge, SQS and Lambda see.
    image_gb : float
        Of a film in JPEG.
    events : int
        Telemetry events of 0.6 KB, and 0.9 KB of the reading; each counts as 1 KB for Kinesis and
        5 KB for Firehose.
    log_gb : float
        Of summary lines.
    """

    cpu_s: float
    copies: float
    puts: int
    gets: int
    dropped: int
    image_gb: float = 0.0014
    events: int = 8
    log_gb: float = 1.5e-6


def ways_in(cpu_s: float) -> dict[str, Study]:
    """A study by each of the two ways it can come."""
    return {
        "sent": Study(cpu_s, copies=1, puts=2 + INDEX_PUTS, gets=1 + INDEX_GETS, dropped=0),
        "dropped": Study(cpu_s, copies=2.2, puts=8 + INDEX_PUTS, gets=3 + INDEX_GETS, dropped=2),
    }


@dataclass(frozen=True)
class Plan:
    """Resources that run whether studies come or not.

    Attributes
    ----------
    name : str
        As the table says it.
    cluster : bool
        True if an EKS cluster and its way out (NAT) are paid for this alone.
    nodes : float
        Nodes of 2 vCPU, or the share of nodes that others use as well.
    edge : bool
        Load balancer, firewall, key and stream.
    shards : int
        Of the stream; 0 for on demand.
    """

    name: str
    cluster: bool
    nodes: float
    edge: bool
    shards: int = 0


PLANS = (
    Plan("EKS of its own, two nodes", cluster=True, nodes=2, edge=True),
    Plan("in a cluster that is there, one vCPU a pod", cluster=False, nodes=1, edge=True, shards=1),
    Plan("one machine, `radstream up`", cluster=False, nodes=1, edge=False),
)


def read_prices(path: Path = PRICES) -> dict[str, float]:
    """US dollars by name."""
    return {name: price["usd"] for name, price in tomllib.loads(path.read_text()).items()}


def marginal(prices: dict[str, float], study: Study, utilisation: float) -> dict[str, float]:
    """US dollars of a thousand studies more, by what they pay for.

    Parameters
    ----------
    prices
        As `read_prices` has them.
    study
        The resources that one uses.
    utilisation
        Share of the cores' time that is used; the rest is paid for all the same.
    """
    core_s = prices["node_hour"] / 2 / 3600 / utilisation
    million = 1000 / 1e6
    return {
        "compute": 1000 * study.cpu_s * core_s,
        "S3 requests": study.puts * prices["s3_thousand_puts"]
        + study.gets * prices["s3_thousand_gets"],
        "S3 storage, first month": 1000 * study.copies * study.image_gb * prices["s3_gb_month"],
        "load balancer and firewall": 1000 * study.image_gb * prices["alb_lcu_hour"]
        + million * prices["waf_million_requests"],
        "drop folder": study.dropped
        * (
            million * (prices["events_million"] + prices["lambda_million"])
            + million * 3 * prices["queue_million"]  # sent, received, deleted
            + 1000 * 0.25 * 0.2 * prices["lambda_gb_second"]  # 256 MB for 200 ms
        ),
        "telemetry and logs": 1000
        * study.events
        * (1e-6 * prices["kinesis_gb"] + 5e-6 * prices["firehose_gb"])
        + 1000 * study.log_gb * prices["logs_gb"],
    }


def fixed(prices: dict[str, float], plan: Plan) -> float:
    """US dollars a month that a plan costs before the first study."""
    hourly = plan.nodes * prices["node_hour"]
    monthly = plan.nodes * 20 * prices["disk_gb_month"]
    if plan.cluster:
        hourly += prices["eks_cluster_hour"] + prices["nat_hour"]
    if plan.edge:
        stream = prices["kinesis_shard_hour"] * plan.shards or prices["kinesis_stream_hour"]
        hourly += prices["alb_hour"] + stream
        monthly += prices["waf_acl_month"] + 6 * prices["waf_rule_month"] + prices["kms_key_month"]
    return HOURS_A_MONTH * hourly + monthly


def all_in(fixed_month: float, marginal_thousand: float, studies: float) -> float:
    """US dollars per thousand studies when so many come in a month."""
    return marginal_thousand + fixed_month / (studies / 1000)


def studies_for(fixed_month: float, marginal_thousand: float, target: float) -> float:
    """Studies a month from which a thousand cost no more than the target."""
    return 1000 * fixed_month / (target - marginal_thousand)
