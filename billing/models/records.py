"""Data for the dashboard and support: usage by day, and a record of each call."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import ApiKey
from billing.models.credits import Account, Bucket, UsageWindow, part_field
from lib.amounts import Amount


class DailyUsage(models.Model):
    """What was spent on one UTC day of a window, counted once that day is over and all of its holds are settled.

    A copy of what the holds say, so that no page has to count a million of them: see `billing.dashboard.daily_usage`.
    """

    window = models.ForeignKey(UsageWindow, on_delete=models.CASCADE, related_name="daily_usage")
    day = models.DateField()
    channel = models.CharField(max_length=3)
    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, null=True, related_name="+", db_index=False)
    bucket = models.CharField(max_length=8, choices=Bucket.choices)
    credits = models.PositiveIntegerField()
    # Without a database default: the previous release counts every hold as one credit, and cannot store its counts.
    credits_part = models.IntegerField(default=0)

    spent = Amount("credits")

    class Meta:
        verbose_name_plural = "daily usage"
        ordering = ["day"]

    def __str__(self) -> str:
        return f"{self.spent} hundredths on {self.day}"


class CountedDays(models.Model):
    """How far a window's `DailyUsage` reaches: every day before `until` is counted. Only moves forward, in one statement."""

    window = models.OneToOneField(UsageWindow, on_delete=models.CASCADE, primary_key=True, related_name="counted")
    until = models.DateField()

    class Meta:
        verbose_name_plural = "counted days"

    def __str__(self) -> str:
        return f"until {self.until}"


class RequestRecord(models.Model):
    """One answered call that works on an image, for the customer's dashboard and for support. Not money: the ledger is.

    `endpoint` is its address without the first slash, `code` is the error's, empty for an image. Times are in milliseconds:
    `duration_ms` for the whole request, `queue_ms` for waiting in the queue, `inference_ms` for the model. Records
    are kept for a limited time: see `billing.dashboard.request_log`.
    """

    account = models.ForeignKey(Account, on_delete=models.CASCADE, null=True, related_name="requests")
    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, null=True, related_name="+")
    channel = models.CharField(max_length=9, choices=[("api", "API"), ("app", "web app"), ("anonymous", "anonymous")])
    # A database default too: the previous release writes rows without this column.
    endpoint = models.CharField(max_length=32, default="rmbg", db_default="rmbg")
    request_id = models.CharField(max_length=128, db_index=True)
    status = models.PositiveSmallIntegerField()
    code = models.CharField(max_length=64, blank=True)
    credits = models.PositiveSmallIntegerField(default=0)
    credits_part = part_field()
    duration_ms = models.PositiveIntegerField()
    queue_ms = models.PositiveIntegerField(default=0)
    inference_ms = models.PositiveIntegerField(default=0)
    model = models.CharField(max_length=64, blank=True)
    # How sure the model was of its matte, 0-1; null for errors.
    confidence = models.FloatField(null=True)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    charged = Amount("credits")

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["account", "-created_at"], name="request_of_account"),
            # Looking for errors means finding a few rows among many.
            models.Index(fields=["account", "-created_at"], condition=Q(status__gte=400), name="request_refused"),
        ]

    def __str__(self) -> str:
        return self.request_id
