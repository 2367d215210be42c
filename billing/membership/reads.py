"""How often an account may read: widely, ten times as often as its plan lets it send images."""

from typing import Any

from django.conf import settings
from rest_framework.request import Request

from accounts.models import User
from billing.models import Account
from lib.web import rate_limits
from lib.web.api_view import ApiView
from lib.web.errors import ApiError

# Of the plan's requests per minute. Who waits for a batch looks after it more often than they make one.
READS_PER_REQUEST = 10


class CountedReadsView(ApiView):
    """An endpoint whose cheap calls are counted by account: all but POST, which counts for itself where it costs."""

    counted_methods: tuple[str, ...] = ("GET", "HEAD", "DELETE")

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Identify the caller and count the call. Raises ApiError 429 `rate_limited`, and what identification raises."""
        super().initial(request, *args, **kwargs)
        if request.method in self.counted_methods and isinstance(request.user, User):
            count_read(request.user)


def count_read(user: User) -> None:
    """Count one read. Raises ApiError 429 `rate_limited` past READS_PER_MINUTE, or the plan's number if that is more."""
    if not rate_limits.count_widely(f"reads:{user.pk}", settings.READS_PER_MINUTE):
        return
    # The plan is asked for only by those who have read so much, and the rest of what it allows counted apart.
    plan = Account.objects.filter(user=user).values_list("plan__requests_per_minute", flat=True).first() or 0
    more = READS_PER_REQUEST * plan - settings.READS_PER_MINUTE
    wait = rate_limits.count_widely(f"more-reads:{user.pk}", more) if more > 0 else 1
    if wait:
        raise ApiError("rate_limited", retry_after=max(1, wait))
