"""The files that operators copy (alert rules, the dashboard, the compose file) name figures and settings that exist."""

import json
import re

import pytest
import yaml
from django.conf import settings
from django.test import Client

from tests.server import ROOT

# Figures that only appear where a broker or workers for images are configured.
ELSEWHERE = {"rembg_tasks_waiting", "rembg_inference_workers"}
NAME = re.compile(r"\brembg_[a-z_]+")


@pytest.fixture
def exposed(quick_model, db) -> set[str]:
    """The names of all samples that `/metrics` shows or will show."""
    text = Client().get("/metrics").content.decode()
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)", text, re.MULTILINE))
    histograms = {name for name, kind in kinds.items() if kind == "histogram"}
    return {*kinds, *ELSEWHERE, *(f"{name}_{part}" for name in histograms for part in ("bucket", "sum", "count"))}


def rules() -> list[dict]:
    return [rule for group in yaml.safe_load((ROOT / "docs/alerts.yml").read_text())["groups"] for rule in group["rules"]]


def compose() -> dict:
    return yaml.safe_load((ROOT / "compose.yaml").read_text())


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_figures_that_exist_and_says_what_to_do(rule, exposed):
    assert set(NAME.findall(rule["expr"])) <= exposed
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"]["summary"]
    assert len(rule["annotations"]["action"]) > 40


def test_the_dashboard_shows_figures_that_exist(exposed):
    board = json.loads((ROOT / "docs/grafana/dashboard.json").read_text())
    queried = {name for panel in board["panels"] for target in panel["targets"] for name in NAME.findall(target["expr"])}
    assert len(queried) > 10
    assert queried <= exposed


def test_the_same_processes_in_the_procfile_and_in_the_compose_file():
    lines = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
    services = compose()["services"]
    assert lines.keys() - {"release"} <= services.keys()
    for name in ("worker", "inference", "batch", "beat"):
        assert services[name]["command"].startswith(" ".join(lines[name].removeprefix("exec ").split()[:5]))


def test_the_database_has_a_connection_for_everyone():
    """The sum in docs/capacity.md, for three web processes and three of the previous release."""
    words = compose()["services"]["postgres"]["command"].split()
    allowed = next(int(word.removeprefix("max_connections=")) for word in words if word.startswith("max_connections="))
    assert allowed >= 2 * 3 * settings.DATABASE_POOL_SIZE + 2 + 2 + 10
    assert str(allowed) in (ROOT / "docs/capacity.md").read_text()


@pytest.mark.parametrize("name", ["inference", "batch"])
def test_a_worker_consumes_from_the_queue_of_its_name(name):
    assert f" --queues {name} " in compose()["services"][name]["command"]
    lines = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
    assert f' --queues "${{CELERY_QUEUE:+$CELERY_QUEUE-}}{name}" ' in lines[name]


def test_redis_never_drops_an_image_that_a_caller_waits_for():
    assert compose()["services"]["redis"]["command"].endswith("--maxmemory-policy noeviction")


def test_the_compose_file_holds_no_secret_and_publishes_only_the_proxy():
    for name, service in compose()["services"].items():
        assert ("ports" in service) == (name == "proxy")
        for variable, value in service.get("environment", {}).items():
            if re.search("PASS|SECRET|TOKEN|PEPPER", variable):
                assert re.fullmatch(r"\$\{\w+(:\?[^}]*)?\}", value), variable


def test_every_setting_of_the_example_is_described():
    named = set(re.findall(r"^([A-Z_]+)=", (ROOT / "deploy/env.example").read_text(), re.MULTILINE))
    in_compose = set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "compose.yaml").read_text()))
    assert in_compose <= named
    readme = (ROOT / "README.md").read_text()
    assert {name for name in named - in_compose if f"`{name}`" not in readme} == set()


def test_the_proxy_closes_idle_connections_before_the_server_does():
    kept = re.search(r"keepalive (\d+)s", (ROOT / "deploy/Caddyfile").read_text())
    assert kept is not None
    assert int(kept.group(1)) < int(compose()["x-app"]["environment"]["WEB_KEEPALIVE_SECONDS"])


def test_a_container_is_given_the_time_that_its_last_requests_may_take():
    source = (ROOT / "config/gunicorn.py").read_text()
    graceful = re.search(r"^graceful_timeout = (\d+)", source, re.MULTILINE)
    assert graceful is not None
    assert int(compose()["services"]["web"]["stop_grace_period"].removesuffix("s")) > int(graceful.group(1))
