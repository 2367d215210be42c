"""`manage.py demo`: what a newcomer sees when the server is ready."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from accounts.keys import find_key
from accounts.models import ApiKey
from billing.credits import ledger
from billing.management.commands.issue_key import get_or_create_user

EMAIL = "demo@example.com"
SAMPLE = "imaging/static/imaging/samples/astronaut.jpg"

GREETING = """
{name} is ready on {address}

  demo key   {key}
  try        curl -sS -H 'x-api-key: {key}' -F image=@{sample} {address}/rmbg -o cutout.webp
  reference  {address}/api/docs
"""


class Command(BaseCommand):
    help = "Print a working key of the demo account and a curl line to paste."

    def handle(self, *args: Any, **options: Any) -> None:
        facts = {
            "name": settings.SITE_NAME,
            "address": f"http://{settings.WEB_BIND}",
            "key": demo_key(),
            "sample": settings.BASE_DIR / SAMPLE,
        }
        self.stdout.write(GREETING.format(**facts))


def demo_key() -> str:
    """The demo account's key, the same from run to run while it works: kept in a file of this machine's own."""
    kept = settings.VAR_DIR / "demo_key"
    parsed = find_key(kept.read_text()) if kept.exists() else None
    user = get_or_create_user(EMAIL)
    ledger.get_account(user)
    key = ApiKey.objects.live().filter(user=user, lookup=parsed.lookup).first() if parsed else None
    if parsed and key and key.digest == parsed.digest():
        return parsed.text
    _, fresh = ApiKey.objects.issue(user, name="demo")
    kept.touch(mode=0o600)
    kept.write_text(fresh.text)
    return fresh.text
