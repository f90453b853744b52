"""Alertmanager's own amtool reads the configuration, and sends each alert where it belongs."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.chart import ROOT

VALUES = yaml.safe_load((ROOT / "helm/prometheus-stack.yaml").read_text())["alertmanager"]


@pytest.fixture(scope="module")
def configuration(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("alertmanager") / "alertmanager.yml"
    text = yaml.safe_dump(VALUES["config"])
    # Debian's amtool is 0.25; a webhook's url_file came with Alertmanager 0.26.
    path.write_text(re.sub(r"url_file: \S+", "url: https://switch.hospital.test/", text))
    return path


def amtool(*arguments: str | Path) -> str:
    done = subprocess.run(["amtool", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_configuration_is_valid(configuration: Path) -> None:
    assert "SUCCESS" in amtool("check-config", configuration)


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ("alertname=RadStreamNoModelReady severity=critical", "pager,mail"),
        ("alertname=RadStreamStudiesParked severity=warning", "mail"),
        ("alertname=Watchdog severity=none", "dead-man-switch"),
        ("alertname=InfoInhibitor severity=none", "nobody"),
        ("alertname=Other", "mail"),
    ],
)
def test_an_alert_goes_where_it_belongs(labels: str, receivers: str, configuration: Path) -> None:
    command = ["config", "routes", "test", "--config.file", str(configuration), *labels.split()]
    assert amtool(*command).strip() == receivers


def test_every_secret_is_a_file_of_the_secret_that_the_page_makes() -> None:
    text = yaml.safe_dump(VALUES["config"])
    [secret] = VALUES["alertmanagerSpec"]["secrets"]
    files = set(re.findall(rf"/etc/alertmanager/secrets/{secret}/([\w-]+)", text))
    page = (ROOT / "docs/deploy-eks.md").read_text()
    assert files == set(re.findall(r"--from-literal=([\w-]+)=", page))
    assert files == {"pagerduty-routing-key", "smtp-password", "dead-man-switch-url"}
    assert not re.search(r"(?:password|key|url): \S", text)
