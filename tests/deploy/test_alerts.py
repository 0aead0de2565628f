"""The alerts of the Compose profile: Prometheus' own tool plays a story to them, and a real server has their metrics.

The tool is Debian's, or that of the image which the profile runs.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from mlops_lab import deploy
from mlops_lab.deploy import compose
from mlops_lab.monitor.log import PredictionLog
from mlops_lab.serve import create_app

ROOT = Path(__file__).parents[2]
LOCAL = shutil.which("promtool")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prometheus")
    files = deploy.files(deploy.make_spec(ROOT / "models", "clothes", replicas=1), "compose").below("prometheus")
    files.write(folder)
    folder.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def rules(folder):
    groups = yaml.safe_load((folder / "rules.yml").read_text())["groups"]
    return {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"]}


CASES = """
rule_files: [rules.yml]
evaluation_interval: 5s
tests:
  - interval: 5s
    input_series:
      - series: 'up{job="mlops-lab", instance="a:8000"}'
        values: "1x40 0x40"
      - series: 'mlops_lab_version_ready{model="clothes", version="v1", instance="a:8000"}'
        values: "1x20 0x60"
      - series: 'mlops_lab_requests_total{status="200", instance="a:8000"}'
        values: "0+50x80"
      - series: 'mlops_lab_requests_total{status="500", instance="a:8000"}'
        values: "0x20 0+5x60"
      - series: 'mlops_lab_predictions_total{model="clothes", version="v1", class="Bag", instance="a:8000"}'
        values: "0+90x80"
      - series: 'mlops_lab_predictions_total{model="clothes", version="v1", class="Coat", instance="a:8000"}'
        values: "0+10x80"
      - series: 'mlops_lab_log_failing{instance="a:8000"}'
        values: "0x20 1x60"
      - series: 'mlops_lab_log_predictions_total{outcome="failed", instance="a:8000"}'
        values: "0x20 0+1x60"
      - series: 'mlops_lab_monitor_changed{model="clothes", version="v1", instance="a:8000"}'
        values: "1x80"
      - series: 'mlops_lab_monitor_harmful{model="clothes", version="v1", instance="a:8000"}'
        values: "0x20 1x60"
      - series: 'mlops_lab_monitor_changed{model="digits", version="v2", instance="a:8000"}'
        values: "1x80"
      - series: 'mlops_lab_monitor_harmful{model="digits", version="v2", instance="a:8000"}'
        values: "0x80"
    promql_expr_test:
      - {expr: 'count(ALERTS{alertstate="firing"}) or vector(0)', eval_time: 1m, exp_samples: [{value: 0}]}
      - {expr: 'count by (alertname) (ALERTS{alertstate="firing"})', eval_time: 6m, exp_samples: [
          {labels: '{alertname="LogFailing"}', value: 1}, {labels: '{alertname="ModelHarmed"}', value: 1},
          {labels: '{alertname="ModelNotReady"}', value: 1},
          {labels: '{alertname="NoServer"}', value: 1}, {labels: '{alertname="OneAnswerOnly"}', value: 1},
          {labels: '{alertname="PredictionsNotLogged"}', value: 1}, {labels: '{alertname="ServerErrors"}', value: 1},
          {labels: '{alertname="ServersMissing"}', value: 1}]}
      - {expr: 'count by (model) (ALERTS{alertname="ModelHarmed", alertstate="firing"})', eval_time: 6m, exp_samples: [
          {labels: '{model="clothes"}', value: 1}]}
"""


def promtool(folder, *arguments):
    tool = [LOCAL]
    if LOCAL is None:
        tool = ["docker", "run", "--rm", "--volume", f"{folder}:/etc/prometheus:ro", "--entrypoint", "promtool"]
        tool += ["--workdir", "/etc/prometheus", compose.IMAGES["prometheus"]]
    done = subprocess.run([*tool, *arguments], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("story", [pytest.param("cases.yml", marks=() if LOCAL else pytest.mark.docker)])
def test_the_rules_fire_when_they_should(folder, story):
    (folder / story).write_text(CASES)
    assert "SUCCESS: 11 rules found" in promtool(folder, "check", "rules", "rules.yml")
    assert "SUCCESS: prometheus.yml is valid" in promtool(folder, "check", "config", "prometheus.yml")
    promtool(folder, "test", "rules", story)


def test_a_server_with_a_log_has_every_metric_that_an_alert_reads(rules, tmp_path):
    with PredictionLog(tmp_path / "predictions.db") as log:
        app = create_app(ROOT / "models", log=log)
        text = app.test_client().get("/metrics").text
    known = set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))
    read = set(re.findall(r"\bmlops_lab_\w+", " ".join(rules.values())))
    assert len(read) >= 8 and read - known <= {"mlops_lab_request_seconds_bucket"}


def test_alarms_ring_on_harm_and_a_change_is_only_listed(rules):
    assert "mlops_lab_monitor_harmful" in rules["ModelHarmed"]
    assert "mlops_lab_monitor_changed" not in " ".join(rules.values())
