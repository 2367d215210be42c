"""Database connections are released before slow work; database errors become the right answers."""

import sqlite3

import psycopg
import pytest
from django.db import IntegrityError, InterfaceError, OperationalError, connection, transaction
from django.test import Client
from psycopg import errors

from lib.ops import database
from tests.imaging.removal.forms import form

on_postgresql = pytest.mark.skipif(
    connection.vendor == "sqlite", reason="SQLite has no pool; `make test-postgres` runs this"
)


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def sqlite_error(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("what it says")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OperationalError("gone"), True), (InterfaceError("connection already closed"), True),
        (caused(OperationalError(), errors.AdminShutdown()), True),
        (caused(OperationalError(), errors.TooManyConnections()), True),
        (caused(OperationalError(), errors.DeadlockDetected()), True),
        (caused(OperationalError(), errors.QueryCanceled()), True),
        (caused(OperationalError(), errors.SerializationFailure()), True),
        (caused(IntegrityError(), errors.ReadOnlySqlTransaction()), True),
        (caused(OperationalError(), errors.StatementTooComplex()), False),
        (caused(OperationalError(), sqlite_error(sqlite3.SQLITE_BUSY)), True),
        (caused(OperationalError(), sqlite_error(sqlite3.SQLITE_IOERR | 10 << 8)), True),
        (caused(OperationalError(), sqlite_error(sqlite3.SQLITE_FULL)), True),
        (caused(OperationalError(), sqlite_error(sqlite3.SQLITE_ERROR)), False),
        (IntegrityError("taken"), False), (ValueError("ours"), False), (None, False),
    ],
)  # fmt: skip
def test_which_errors_are_an_outage(error, expected):
    assert database.is_outage(error) is expected


@pytest.mark.django_db
@pytest.mark.parametrize(
    "place", ["billing.credits.ledger.get_account", "django.contrib.sessions.backends.db.SessionStore.load"]
)
def test_a_page_without_its_database_is_a_503(user, monkeypatch, caplog, place):
    """Whether the view or a middleware before it finds it missing."""
    browser = Client(raise_request_exception=False)
    browser.force_login(user)

    def fail(*arguments):
        raise OperationalError("gone")

    monkeypatch.setattr(place, fail)
    response = browser.get("/dashboard")
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert "Something went wrong on our side" in response.content.decode()
    monkeypatch.undo()
    assert browser.get("/dashboard").status_code == 200


@pytest.mark.django_db
def test_the_api_without_its_database_is_a_503_in_the_apis_own_shape(key, monkeypatch):
    def fail(*arguments):
        raise OperationalError("gone")

    monkeypatch.setattr("accounts.models.ApiKey.find", fail)
    for path in ("/api/membership-usage", "/api/batches"):
        response = Client(raise_request_exception=False).get(path, headers={"x-api-key": key})
        assert (response.status_code, response.json()["code"], response["Retry-After"]) == (503, "service_unavailable", "5")


@pytest.mark.django_db
def test_a_hold_that_cannot_be_voided_hides_no_error(key, quick_model, small_png, monkeypatch, caplog):
    """The image does not decode: the caller gets that error, and the sweep finds the hold."""

    def fail(*arguments):
        raise OperationalError("gone")

    monkeypatch.setattr("billing.credits.ledger.void", fail)
    response = Client().post("/rmbg", **form(small_png[:45]), headers={"x-api-key": key})
    assert response.status_code == 400
    assert "a hold is left to the sweep" in caplog.text


@on_postgresql
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_an_image_is_processed_without_a_connection(key, quick_model, small_png, monkeypatch):
    held = []
    predict = quick_model.predict

    def look(image):
        held.append(connection.connection)
        return predict(image)

    monkeypatch.setattr(quick_model, "predict", look)
    assert Client().post("/rmbg", **form(small_png), headers={"x-api-key": key}).status_code == 200
    assert held == [None]


@on_postgresql
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_inside_a_transaction_it_is_kept():
    with transaction.atomic():
        connection.ensure_connection()
        database.give_back()
        assert connection.connection is not None
    database.give_back()
    assert connection.connection is None


@on_postgresql
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_statement_that_gets_no_answer_is_given_up(monkeypatch):
    monkeypatch.setattr(database, "_statement_seconds", 0.3)
    with pytest.raises(OperationalError, match="has not answered for") as refused, connection.cursor() as cursor:
        # The server finishes it without us, and drops no database meanwhile; it waits 5 seconds for that.
        cursor.execute("SELECT pg_sleep(2)")
    assert database.is_outage(refused.value)
    database.give_back()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)


@on_postgresql
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_connections_that_the_server_has_closed_are_replaced_silently(settings):
    """As after a restart of the server: the pool checks each connection before it lends it."""
    connection.ensure_connection()
    database.give_back()
    address = connection.get_connection_params()
    with psycopg.connect(**{name: address[name] for name in ("dbname", "user", "host", "port") if name in address}) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
