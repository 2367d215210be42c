"""`/billing/balance`: the remaining credits that the editor shows."""

import pytest
from django.test import Client

from billing.credits import ledger
from tests.billing.conftest import spend

pytestmark = pytest.mark.django_db

URL = "/billing/balance"


@pytest.fixture
def owner(client: Client, user) -> Client:
    client.force_login(user)
    return client


def test_an_owner_sees_both_kinds_of_credits(owner, account):
    ledger.grant_prepaid(account, 7, reference="test")
    spend(account, app=2, api=1)
    response = owner.get(URL)
    assert response.json() == {"included": 47, "prepaid": 7, "left": 54}
    assert "no-store" in response.headers["Cache-Control"]


def test_another_customers_credits_are_not_in_it(owner, account, django_user_model):
    other = django_user_model.objects.create_user("other@example.com", "correct horse battery staple")
    spend(ledger.get_account(other), app=5)
    assert owner.get(URL).json()["left"] == 50


def test_anonymous_is_a_401(client):
    response = client.get(URL)
    assert response.status_code == 401
    assert response.json() == {"error": "Please log in.", "code": "not_logged_in", "status": 401}


def test_a_key_is_not_accepted_here(key):
    assert Client(headers={"x-api-key": key}).get(URL).status_code == 401


def test_other_methods_are_refused(owner):
    assert owner.post(URL).status_code == 405


def test_queries(owner, account, django_assert_max_num_queries):
    with django_assert_max_num_queries(5):
        owner.get(URL)
