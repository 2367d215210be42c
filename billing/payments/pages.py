"""Pricing, Checkout, the customer portal and the billing page. Only Stripe handles card and bank data."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts.caller import get_signed_in
from accounts.models import User
from billing.credits import ledger
from billing.membership import usage as membership
from billing.models import Account, CreditPack, PackPurchase, Plan, StripePrice, Subscription
from billing.payments import catalogue, purchases, subscriptions
from billing.payments import client as stripe_client
from billing.payments import customers as stripe_customers
from billing.payments.client import Json, PaymentError, PaymentRefused
from lib.web.errors import ApiError, from_status

PURCHASES_SHOWN = 12


@require_safe
@never_cache
def pricing(request: HttpRequest) -> HttpResponse:
    """Plans and packs, for everyone."""
    account = ledger.get_account(request.user) if isinstance(request.user, User) else None
    context = {
        "plans": Plan.objects.all(),
        "packs": CreditPack.objects.filter(is_listed=True),
        "is_enabled": stripe_client.is_enabled(),
        "account": account,
        "subscription": subscriptions.find_live(account) if account else None,
    }
    return render(request, "billing/pricing.html", context)


@require_POST
@never_cache
def checkout(request: HttpRequest) -> HttpResponse:
    """Send the customer to Stripe's Checkout, for a plan or a pack."""
    if not isinstance(request.user, User):
        return redirect_to_login(reverse("pricing"))
    account = ledger.get_account(request.user)
    price = _get_price(request)
    if price.plan is not None and subscriptions.find_live(account) is not None:
        raise ApiError("already_subscribed")
    session = stripe_client.get_client().create_checkout(_checkout_params(request, account, price))
    return redirect(session["url"])


@require_safe
@login_required
@never_cache
def checkout_done(request: HttpRequest) -> HttpResponse:
    """The page where customers land after paying. Fulfils the purchase if the webhook has not done so yet."""
    account = ledger.get_account(get_signed_in(request))
    if not stripe_client.is_enabled() or not hasattr(account, "stripe_customer"):
        raise from_status(404)
    session = request.GET.get("session_id", "")
    if not stripe_client.CHECKOUT_ID.fullmatch(session):
        raise from_status(404)
    try:
        purchases.sync(account, session)
    except PaymentRefused as error:
        raise from_status(404) from error
    except PaymentError:
        messages.info(request, gettext("Your payment is being confirmed. It will show here in a minute."))
        return redirect("billing")
    messages.success(request, gettext("Thank you. Your payment is shown below as soon as your bank has confirmed it."))
    return redirect("billing")


@require_POST
@login_required
@never_cache
def portal(request: HttpRequest) -> HttpResponse:
    """Send the customer to Stripe's portal: cards, invoices, another plan, cancelling."""
    client = stripe_client.get_client()
    configuration = client.find_portal(catalogue.PORTAL_NAME)
    session = client.create_portal_session(
        customer=stripe_customers.get_or_create(ledger.get_account(get_signed_in(request))),
        return_url=request.build_absolute_uri(reverse("billing")),
        configuration=configuration["id"] if configuration else None,
    )
    return redirect(session["url"])


@require_safe
@login_required
@never_cache
def billing(request: HttpRequest) -> HttpResponse:
    """Plan, renewal, balances, invoices, packs. Usage is on the dashboard."""
    account = ledger.get_account(get_signed_in(request))
    window = membership.current_window(account)
    context = {
        "account": account,
        "subscription": subscriptions.find_live(account),
        "window": window,
        "cycle": membership.get_cycle(account, window),
        "purchases": PackPurchase.objects.filter(account=account).select_related("price__pack")[:PURCHASES_SHOWN],
        "invoices": _invoices(account),
        "is_enabled": stripe_client.is_enabled(),
    }
    return render(request, "billing/billing.html", context)


def _get_price(request: HttpRequest) -> StripePrice:
    """The price that a form asks for, by its plan's or pack's id. Raises ApiError 404 if it is not on sale."""
    on_sale = StripePrice.objects.select_related("plan", "pack").filter(is_active=True)
    for field in ("plan", "pack"):
        number = request.POST.get(field, "")
        if number.isdecimal() and len(number) < 10 and (found := on_sale.filter(**{field: int(number)}).first()):
            return found
    raise ApiError("not_on_sale")


def _checkout_params(request: HttpRequest, account: Account, price: StripePrice) -> dict[str, Any]:
    # Stripe replaces the placeholder in braces with the session's id.
    done = request.build_absolute_uri(reverse("checkout-done")) + "?session_id={CHECKOUT_SESSION_ID}"
    params: dict[str, Any] = {
        "mode": "subscription" if price.plan else "payment",
        "customer": stripe_customers.get_or_create(account),
        "client_reference_id": account.user.public_id,
        "line_items": [{"price": price.stripe_id, "quantity": 1}],
        "success_url": done,
        "cancel_url": request.build_absolute_uri(reverse("pricing")),
    }
    # Trials are only for customers who have never subscribed.
    if price.plan and price.plan.trial_days and not Subscription.objects.filter(account=account).exists():
        params["subscription_data"] = {"trial_period_days": price.plan.trial_days}
    return params


def _invoices(account: Account) -> list[Json] | None:
    """The customer's invoices from Stripe; None if Stripe cannot be reached."""
    if not stripe_client.is_enabled() or not hasattr(account, "stripe_customer"):
        return []
    try:
        found = stripe_client.get_client().list_invoices(account.stripe_customer.stripe_id)
    except PaymentError:
        return None
    return [one | {"date": subscriptions.moment(one["created"])} for one in found if one["status"] != "draft"]
