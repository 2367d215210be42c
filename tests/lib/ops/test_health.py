"""`/healthz` and `/readyz`."""

import pytest
import requests
from django.db import DatabaseError
from django.test import Client

from imaging.executor import runtime


def test_alive(client: Client):
    assert client.get("/healthz").json() == {"status": "ok"}


@pytest.mark.django_db
def test_ready_only_with_a_model(client: Client, monkeypatch, quick_model):
    assert client.get("/readyz").status_code == 200
    monkeypatch.setattr(runtime, "_model", None)
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json() == {"status": "not ready", "parts": {"database": True, "model": False}}


def test_not_ready_without_a_database(client: Client, monkeypatch, quick_model):
    def broken(*args, **kwargs):
        raise DatabaseError

    monkeypatch.setattr("lib.ops.health.connection.cursor", broken)
    assert client.get("/readyz").json()["parts"]["database"] is False


def test_the_running_product_is_ready(server):
    assert requests.get(f"{server.url}/readyz", timeout=5).json()["status"] == "ready"
