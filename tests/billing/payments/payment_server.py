"""The running product with payment switched on, and the fake Stripe that it uses."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.fakes.stripe_server import StripeFake
from tests.services.deployment import Deployment

SECRET = "whsec_test"

CHECKOUT = """
from billing.credits import ledger
from billing.payments import client as stripe_client, customers as stripe_customers
from billing.management.commands.issue_key import get_or_create_user
from billing.models import StripePrice
account = ledger.get_account(get_or_create_user("{email}"))
price = StripePrice.objects.get({price}, is_active=True)
print(stripe_client.get_client().create_checkout({{
    "mode": "subscription" if price.plan else "payment",
    "customer": stripe_customers.get_or_create(account),
    "line_items": [{{"price": price.stripe_id, "quantity": 1}}],
    "success_url": "http://127.0.0.1/done",
}})["id"])
"""


@dataclass
class PaymentServer:
    """A product and its Stripe."""

    product: Deployment
    stripe: StripeFake

    def run(self, code: str) -> str:
        """Run Python code inside the product and return what it prints."""
        return self.product.manage("shell", "--no-imports", "-c", code).strip()

    def open_checkout(self, email: str, price: str) -> str:
        """A Checkout session of an account; `price` is the filter that finds the price, such as `plan__label="…"`."""
        return self.run(CHECKOUT.format(email=email, price=price))


@contextmanager
def payment_server(folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[PaymentServer]:
    """Both running, with everything on sale."""
    product = Deployment(folder, EMAIL_URL="consolemail://")
    with StripeFake(f"{product.url}/api/stripe/webhook", SECRET) as stripe:
        product.environment = {
            **product.environment,
            "STRIPE_SECRET_KEY": "sk_test_1", "STRIPE_WEBHOOK_SECRET": SECRET, "STRIPE_API_BASE": stripe.url,
            **(environment or {}),
        }  # fmt: skip
        product.start()
        try:
            product.manage("sync_stripe")
            yield PaymentServer(product, stripe)
        finally:
            product.stop()
