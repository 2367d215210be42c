"""The task that processes Stripe's events. Queued messages use its name, so it must not change."""

from celery import Task, shared_task

from billing.payments import events

# 10 s, 20 s, 40 s … 43 min: Stripe's own outages are over by then; after that, `replay_stripe_events --failed`.
EVENT_RETRIES = 8
FIRST_RETRY_SECONDS = 10


@shared_task(bind=True, max_retries=EVENT_RETRIES, name="billing.tasks.process_stripe_event")  # type: ignore[untyped-decorator]
def process_stripe_event(self: Task, pk: int) -> None:
    """Process a webhook. A worker retries a failure. In the web process, Stripe gets the error and sends the event again."""
    if not events.process(pk) and not self.request.is_eager:
        raise self.retry(countdown=FIRST_RETRY_SECONDS * 2**self.request.retries)
