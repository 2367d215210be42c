"""A fake Stripe for tests: the endpoints, pages, events and clock that the product needs, in memory and on loopback.

In a test: `with StripeFake(webhook_url) as stripe: ...`. By hand:
`python -m tests.fakes.stripe_server --port 12111 --webhook http://127.0.0.1:8000/api/stripe/webhook`.
"""

from tests.fakes.stripe_server.errors import Refused
from tests.fakes.stripe_server.fake import StripeFake
from tests.fakes.stripe_server.webhooks import sign

__all__ = ["Refused", "StripeFake", "sign"]
