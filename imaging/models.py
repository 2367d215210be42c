"""Batches: many images sent at once, processed one by one, with a callback at the end. The images are in storage."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import ApiKey
from billing.models import Account, Hold
from imaging.core.options import CutoutOptions, UnknownOption, parse_options
from imaging.core.outputs import FIELD as OUTPUTS_FIELD
from imaging.core.outputs import Output, outputs_from_json, outputs_to_json

# The form in which batches store their options.
OPTIONS_VERSION = 1


def stored_options(options: CutoutOptions, outputs: Sequence[Output] = ()) -> dict[str, Any]:
    """The value of `Batch.parsed_options` from which `Batch.outputs` reads them: `outputs`, or `options` without any."""
    return {"version": OPTIONS_VERSION, "options": outputs_to_json(outputs) if outputs else options.to_json()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One file that was made of an image. `output` is the name of its output, "" without one. Sizes in bytes and pixels.

    `foreground` is as that of BatchItem.
    """

    output: str
    media_type: str
    size: int
    width: int
    height: int
    foreground: list[int] | None

    @property
    def label(self) -> str:
        """What distinguishes it from other results of its image: the output's name, else the format."""
        return self.output or self.media_type.rpartition("/")[2]


class Batch(models.Model):
    """Images that were sent together, with one set of options.

    `options` are the text fields as sent, `parsed_options` what they mean: see `outputs`. `request_id` is that of the
    request that created the batch; the hold of each image has it with the image's position appended. `idempotency_key` and
    `fingerprint` make a retry find this batch instead of creating another. Images are kept in storage under the batch's id
    until `expires_at`; `erased_at` is set once they are gone.
    """

    class State(models.TextChoices):
        PROCESSING = "processing", "processing"
        FINISHED = "finished", "finished"
        CANCELLED = "cancelled", "cancelled"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="batches")
    key = models.ForeignKey(ApiKey, on_delete=models.PROTECT, null=True, related_name="+")
    channel = models.CharField(max_length=3, choices=[("api", "API"), ("app", "web app")])
    request_id = models.CharField(max_length=128, db_index=True)
    options = models.JSONField(default=dict)
    parsed_options = models.JSONField(null=True)
    callback_url = models.CharField(max_length=2048, blank=True)
    idempotency_key = models.CharField(max_length=255, null=True)  # noqa: DJ001 - unique where it is set
    fingerprint = models.CharField(max_length=64, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.PROCESSING)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    finished_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField()
    erased_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "batches"
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint("account", "idempotency_key", name="batch_idempotency_key_unique"),
        ]
        indexes = [
            models.Index(fields=["account", "-created_at"], name="batch_of_account"),
            models.Index(fields=["expires_at"], condition=Q(erased_at=None), name="batch_to_erase"),
        ]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def has_outputs(self) -> bool:
        """Whether several results were asked for, or one by a list of outputs."""
        return OUTPUTS_FIELD in self.options

    @property
    def outputs(self) -> list[Output]:
        """What is made of each image, as parsed when the batch was created: one output, or those that were asked for.

        Batches of the release before have the text fields alone. Raises UnknownOption for those of a newer release.
        """
        if self.parsed_options is None:
            return [Output("", parse_options(self.options)[0])]
        if self.parsed_options["version"] != OPTIONS_VERSION:
            raise UnknownOption(f"version {self.parsed_options['version']}")
        return outputs_from_json(self.parsed_options["options"])


class BatchItem(models.Model):
    """One image of a batch.

    `position` counts from 0, in the order in which the images were sent. `name` is the file name as sent, including folders
    of a zip; `source_url` is set if the image is fetched instead. The worker holds a lease until `leased_until`; after that,
    another worker may take the item. `foreground` is the subject's left, top, width and height: see `Cutout`. `results` are
    all of them where the batch has outputs; the columns are those of the first, for processes of the release before. `code`
    and `error` say why there is no result. Its `hold` of a credit is posted in the transaction that sets DONE, and voided in
    any other ending.
    """

    class State(models.TextChoices):
        QUEUED = "queued", "queued"
        RUNNING = "running", "running"
        DONE = "done", "done"
        FAILED = "failed", "failed"
        CANCELLED = "cancelled", "cancelled"

    OPEN = (State.QUEUED, State.RUNNING)

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="items")
    position = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=255)
    # As long as `outbound.MAX_URL`: what `/rmbg` fetches, a batch fetches too.
    source_url = models.CharField(max_length=4096, blank=True)
    size = models.PositiveIntegerField(default=0)
    state = models.CharField(max_length=9, choices=State.choices, default=State.QUEUED)
    hold = models.OneToOneField(Hold, on_delete=models.PROTECT, null=True, related_name="batch_item")
    leased_until = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    code = models.CharField(max_length=64, blank=True)
    error = models.CharField(max_length=500, blank=True)
    media_type = models.CharField(max_length=20, blank=True)
    result_size = models.PositiveIntegerField(default=0)
    width = models.PositiveIntegerField(default=0)
    height = models.PositiveIntegerField(default=0)
    foreground = models.JSONField(null=True)
    results = models.JSONField(null=True)
    model = models.CharField(max_length=64, blank=True)
    confidence = models.FloatField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["batch", "position"]
        constraints = [models.UniqueConstraint("batch", "position", name="batch_item_unique")]
        indexes = [
            # The query for work looks for few open items among many that are done.
            models.Index(
                fields=["state", "leased_until", "id"], condition=Q(state__in=("queued", "running")), name="batch_item_open"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.batch_id}/{self.position}"

    @property
    def delivered(self) -> list[Result]:
        """Its results, in the order of the outputs; none unless it is done."""
        if self.state != self.State.DONE:
            return []
        if self.results is not None:
            return [Result(**result) for result in self.results]
        return [
            Result(
                output="", media_type=self.media_type, size=self.result_size, width=self.width, height=self.height,
                foreground=self.foreground,
            )
        ]  # fmt: skip


class CallbackSecret(models.Model):
    """The secret that signs an account's callbacks: `whsec_` and base64 of 32 random bytes, as in standardwebhooks.com.

    Stored in plain text, since signing needs it. After a rotation, `previous` also signs until `previous_until`.
    """

    account = models.OneToOneField(Account, on_delete=models.CASCADE, related_name="callback_secret")
    secret = models.CharField(max_length=64)
    previous = models.CharField(max_length=64, blank=True)
    previous_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return f"of {self.account}"


class Callback(models.Model):
    """A message to the customer's server that a batch has ended.

    Its id is the message's id, the same for every attempt. A process moves `next_try_at` forward before it attempts a
    pending callback, so that no other process attempts it meanwhile.
    """

    class State(models.TextChoices):
        PENDING = "pending", "pending"
        DELIVERED = "delivered", "delivered"
        FAILED = "failed", "given up"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    batch = models.OneToOneField(Batch, on_delete=models.CASCADE, related_name="callback")
    state = models.CharField(max_length=9, choices=State.choices, default=State.PENDING)
    tries = models.PositiveSmallIntegerField(default=0)
    next_try_at = models.DateTimeField(default=timezone.now)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["next_try_at"], condition=Q(state="pending"), name="callback_pending"),
            models.Index(fields=["ended_at"], name="callback_ended"),
        ]

    def __str__(self) -> str:
        return f"{self.get_state_display()} for {self.batch_id}"

    @property
    def due_at(self) -> datetime | None:
        """When the next attempt is due; None once it has ended."""
        return self.next_try_at if self.state == self.State.PENDING else None


class CallbackTry(models.Model):
    """One attempt to deliver a callback. `status` is the HTTP status of the response, or None; `error` then says why."""

    callback = models.ForeignKey(Callback, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveSmallIntegerField()
    status = models.PositiveSmallIntegerField(null=True)
    error = models.CharField(max_length=255, blank=True)
    duration_ms = models.PositiveIntegerField(default=0)
    at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name_plural = "callback tries"
        ordering = ["number"]
        constraints = [models.UniqueConstraint("callback", "number", name="callback_try_unique")]

    def __str__(self) -> str:
        return f"{self.number} of {self.callback_id}"
