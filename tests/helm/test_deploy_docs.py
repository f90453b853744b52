"""The commands of the deployment pages are such as their programs take."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import botocore.session
import pytest
import yaml
from botocore import xform_name
from botocore.exceptions import UnknownServiceError
from botocore.model import OperationModel
from click.testing import CliRunner

from gateway.cli.main import main
from tests.support.chart import HELM, KUBECTL, ROOT

PAGES = [ROOT / "docs" / name for name in ("kubernetes.md", "deploy-eks.md", "deploy-aws.md")]
# What the AWS CLI adds to any command, and commands of its own making.
GLOBAL = {"query", "output", "region", "profile"}
CUSTOM = {
    ("ecr", "get-login-password"): set(),
    ("eks", "update-kubeconfig"): {"name"},
    ("s3", "cp"): {"delete"},
    ("s3", "ls"): set(),
    ("s3", "rm"): {"recursive"},
    ("s3", "sync"): {"delete"},
}
# Files that the pages write in the checkout.
MADE = {"api-keys.json", "cluster.yaml", "values.yaml", "import.json", "kept.json"}
_HERE_DOCUMENT = re.compile(r"<<EOF.*?^EOF$", re.MULTILINE | re.DOTALL)
EKSCTL = {
    ("create", "cluster"): {"config-file"},
    ("delete", "cluster"): {"config-file", "disable-nodegroup-eviction"},
}


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def commands(program: str) -> Iterator[tuple[str, list[str]]]:
    """Each call of a program, wherever it stands in a line, as words without redirections."""
    for page in PAGES:
        for block in blocks(page):
            text = _HERE_DOCUMENT.sub("", block.replace("\\\n", " "))
            for line in text.splitlines():
                for found in re.finditer(rf"(?:^|\||;|\$\(|&&)\s*({program} .*)", line):
                    yield page.name, _words(found[1])


def _words(text: str) -> list[str]:
    lexer = shlex.shlex(text, posix=True, punctuation_chars="|;()<>")
    lexer.whitespace_split = True
    words = []
    for word in lexer:
        if set(word) <= set("|;()<>"):
            break
        words.append(word)
    return words


def options(words: list[str]) -> set[str]:
    return {word[2:].partition("=")[0] for word in words if word.startswith("--")}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_bash_can_read_every_block(page: Path):
    assert blocks(page)
    for block in blocks(page):
        done = subprocess.run(
            ["bash", "-n"], input=block, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, block + done.stderr


@pytest.mark.parametrize(("name", "program"), [("helm", HELM), ("kubectl", KUBECTL)])
def test_helm_and_kubectl_know_their_commands_and_flags(name: str, program: Path):
    found = list(commands(name))
    assert len(found) > 3
    for page, words in found:
        done = subprocess.run(
            [program, *words[1:], "--help"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{page}: {shlex.join(words)}\n{done.stderr}"
        # A subcommand that is not there shows the help of its parent, which lists others.
        is_parent = "Available Commands:" in done.stdout
        assert not is_parent or words[2].startswith("-"), f"{page}: {shlex.join(words)}"


def test_radstream_knows_its_own_commands():
    found = list(commands(r"(?:\.venv/bin/)?radstream"))
    assert len(found) > 2
    for page, words in found:
        result = CliRunner().invoke(main, [*words[1:], "--help"])
        assert result.exit_code == 0, f"{page}: {shlex.join(words)}\n{result.output}"


def test_aws_knows_its_operations_and_parameters():
    session = botocore.session.get_session()
    found = list(commands("aws"))
    assert len(found) > 20
    for page, (_, service, operation, *rest) in found:
        said = f"{page}: aws {service} {operation} {shlex.join(rest)}"
        given = options(rest) - GLOBAL
        if (service, operation) in CUSTOM:
            assert given <= CUSTOM[service, operation], said
            continue
        try:
            model = session.get_service_model(service)
        except UnknownServiceError:
            pytest.fail(said)
        names = {xform_name(each, "-"): each for each in model.operation_names}
        if operation == "wait":
            waiters = session.get_waiter_model(service)
            named = {xform_name(each, "-"): each for each in waiters.waiter_names}
            name = waiters.get_waiter(named[rest[0]]).operation
        else:
            assert operation in names, said
            name = names[operation]
        known, required = parameters(model.operation_model(name))
        assert given <= known, said
        assert required <= given, said


def parameters(operation: OperationModel) -> tuple[set[str], set[str]]:
    """The options that the CLI makes of an operation's parameters; those that must be given."""
    shape = operation.input_shape
    known = {xform_name(name, "-") for name in shape.members}
    flags = {
        xform_name(name, "-")
        for name, member in shape.members.items()
        if member.type_name == "boolean"
    }
    required = {xform_name(name, "-") for name in shape.required_members}
    return known | {f"no-{flag}" for flag in flags}, required


def test_eksctl_is_asked_for_what_it_documents():
    found = list(commands("eksctl"))
    assert len(found) == len(EKSCTL)
    for page, (_, verb, noun, *rest) in found:
        assert options(rest) <= EKSCTL[verb, noun], page


def test_every_file_named_is_there_or_made_on_the_way():
    named = set()
    for page in PAGES:
        for block in blocks(page):
            named |= set(re.findall(r"(?:--values |--file |--config-file |=@)([\w./-]+)", block))
            named |= set(
                re.findall(r"(?<![\w/.])((?:helm|serverless|tests|docker)/[\w./-]+)", block)
            )
    assert len(named) > 8
    assert not {name for name in named - MADE if not (ROOT / name).exists()}


def test_git_leaves_out_what_the_pages_make():
    """Keys and addresses of an account are among it."""
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert {f"/{name}" for name in MADE} <= set(ignored)


def test_images_are_built_for_the_nodes_platform():
    """A laptop with an ARM processor would build images that no node of the cluster starts."""
    built = [words for _, words in commands("docker") if "build" in words]
    assert len(built) > 1
    for words in built:
        assert words[words.index("--platform") + 1] == "linux/amd64"


def test_each_part_is_removed_before_what_it_holds_on_to():
    [removal] = [block for block in blocks(ROOT / "docs/deploy-eks.md") if "eksctl delete" in block]
    order = (
        "helm uninstall radstream",
        "kubectl wait --for=delete ingress/radstream",  # The load balancer has the web ACL.
        "serverless remove",  # Its interfaces are in the cluster's network.
        "eksctl delete cluster",
        "aws acm delete-certificate",
        "aws kms schedule-key-deletion",  # All else is encrypted with the key.
    )
    places = [removal.index(each) for each in order]
    assert places == sorted(places)
    assert removal.index("kubectl delete persistentvolumeclaim") < removal.index("eksctl delete")


# --- the cluster ----------------------------------------------------------------------------------

CLUSTER = yaml.safe_load((ROOT / "helm/eks/cluster.yaml").read_text())


def test_the_pods_get_the_role_that_the_stack_makes():
    resource = (ROOT / "serverless/resources/gateway.yml").read_text()
    [name] = re.findall(r"RoleName: !Sub (\S+)", resource)
    role = name.replace("${sls:stage}", "prod").replace(
        "${AWS::Region}", CLUSTER["metadata"]["region"]
    )
    text = (ROOT / "serverless.yml").read_text()
    defaults = dict(re.findall(r"^    (namespace|serviceAccount): (\w+)$", text, re.MULTILINE))
    associations = {
        (each["namespace"], each["serviceAccountName"]): each
        for each in CLUSTER["iam"]["podIdentityAssociations"]
    }
    ours = associations[defaults["namespace"], defaults["serviceAccount"]]
    assert ours["roleARN"].endswith(f":role/{role}")
    # Whoever makes none of its own gets one written out, never the node's.
    assert all(
        {"roleARN", "wellKnownPolicies", "permissionPolicy"} & each.keys()
        for each in associations.values()
    )


def test_the_cluster_has_what_the_chart_counts_on():
    addons = {each["name"]: each for each in CLUSTER["addons"]}
    assert addons.keys() >= {
        "vpc-cni",
        "coredns",
        "kube-proxy",
        "eks-pod-identity-agent",
        "metrics-server",
        "amazon-cloudwatch-observability",
    }
    assert '"enableNetworkPolicy": "true"' in addons["vpc-cni"]["configurationValues"]
    assert CLUSTER["iam"]["withOIDC"] is True
    groups = {each["name"]: each for each in CLUSTER["managedNodeGroups"]}
    for example, pool in (("eks-production", "cpu"), ("gpu", "gpu")):
        text = (ROOT / f"helm/radstream/examples/{example}.yaml").read_text()
        assert groups[pool]["labels"] == yaml.safe_load(text)["nodeSelector"]
    [taint] = groups["gpu"]["taints"]
    assert (taint["key"], taint["effect"]) == ("nvidia.com/gpu", "NoSchedule")


def test_the_cluster_is_private_and_sealed():
    assert CLUSTER["secretsEncryption"]["keyARN"].startswith("arn:aws:kms:")
    assert "0.0.0.0/0" not in CLUSTER["vpc"]["publicAccessCIDRs"]
    for group in CLUSTER["managedNodeGroups"]:
        assert group["privateNetworking"] is True
        assert group["volumeEncrypted"] is True
        assert group["disableIMDSv1"] is True
        assert group["disablePodIMDS"] is True
        assert "ssh" not in group


def test_the_stack_has_the_outputs_that_the_page_asks_for():
    asked = set(re.findall(r"\$\(output (\w+)\)", (ROOT / "docs/deploy-eks.md").read_text()))
    resources = [path.read_text() for path in (ROOT / "serverless/resources").glob("*.yml")]
    outputs = {
        name
        for text in resources
        for name in re.findall(r"^  (\w+):", text.partition("\nOutputs:")[2], re.MULTILINE)
    }
    assert len(asked) > 5
    assert asked <= outputs
