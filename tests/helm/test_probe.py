"""The probe's job: what it runs, as whom, and that the gateway lets it in."""

from click.testing import CliRunner

from gateway.cli.main import main
from tests.support.chart import merged, refusal, render

PROBE = {
    "probe": {
        "enabled": True,
        "url": "https://radstream.hospital.test",
        "apiKey": {"secretName": "radstream-probe"},
    }
}


def test_job_runs_the_command_with_a_key_of_its_own_and_fails_with_it():
    job = render(PROBE).one("CronJob")["spec"]
    assert (job["schedule"], job["concurrencyPolicy"]) == ("*/5 * * * *", "Forbid")
    assert job["jobTemplate"]["spec"]["backoffLimit"] == 0
    [container] = job["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    program, *arguments = [*container["command"], *container["args"]]
    assert program == "radstream"
    assert arguments == ["probe", "--url", "https://radstream.hospital.test"]
    assert CliRunner().invoke(main, [*arguments, "--help"]).exit_code == 0
    [key] = container["env"]
    assert key == {
        "name": "RADSTREAM_API_KEY",
        "valueFrom": {"secretKeyRef": {"name": "radstream-probe", "key": "probe-api-key"}},
    }


def test_alert_looks_at_the_job_that_there_is():
    release = render(
        merged(PROBE, {"monitoring": {"rules": {"enabled": True, "runbook": "https://x"}}})
    )
    name = release.one("CronJob")["metadata"]["name"]
    assert name == "radstream-probe"
    rules = [
        rule
        for each in release.all("PrometheusRule")
        for group in each["spec"]["groups"]
        for rule in group["rules"]
    ]
    [alert] = [rule for rule in rules if rule.get("alert") == "RadStreamProbeFailing"]
    assert 'cronjob=~".*radstream.*-probe"' in alert["expr"]


def test_its_pods_are_no_gateways_and_the_policy_lets_them_in():
    release = render(merged(PROBE, {"networkPolicy": {"enabled": True}}))
    template = release.one("CronJob")["spec"]["jobTemplate"]["spec"]["template"]
    labels = template["metadata"]["labels"]
    selector = release.one("Deployment")["spec"]["selector"]["matchLabels"]
    assert not selector.items() <= labels.items()
    let_in = [
        source["podSelector"]["matchLabels"].items() <= labels.items()
        for rule in release.one("NetworkPolicy")["spec"]["ingress"]
        for source in rule["from"]
        if source.get("podSelector", {}).get("matchLabels")
    ]
    assert any(let_in)


def test_probe_without_address_or_key_is_refused():
    assert "probe.url must be" in refusal(merged(PROBE, {"probe": {"url": ""}}))
    no_key = merged(PROBE, {"probe": {"apiKey": {"secretName": ""}}})
    assert "probe.apiKey.secretName is needed" in refusal(no_key)
    assert render().all("CronJob") == []
