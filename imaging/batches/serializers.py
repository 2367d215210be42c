"""Batches as the API shows them, from `imaging.batches.describe`: the OpenAPI document shows the fields that are sent."""

from typing import Any

from rest_framework import serializers

from billing.credits.serializer_fields import CreditsField
from imaging.callbacks.serializers import BatchCallbackSerializer
from imaging.models import Batch, BatchItem
from lib.web.serializer_fields import NumberOrNull, TextOrNull


class BatchCountsSerializer(serializers.Serializer[Any]):
    """How many pictures are in which state."""

    total = serializers.IntegerField()
    queued = serializers.IntegerField(source="states.queued", help_text="Waiting.")
    running = serializers.IntegerField(source="states.running", help_text="Being worked on.")
    done = serializers.IntegerField(source="states.done", help_text="With a result.")
    failed = serializers.IntegerField(
        source="states.failed", help_text="Without one; `code` and `error` of the picture say why."
    )
    cancelled = serializers.IntegerField(
        source="states.cancelled", help_text="Not done when the batch was cancelled, or its time was over."
    )


class BatchCreditsSerializer(serializers.Serializer[Any]):
    """What the batch costs."""

    held = CreditsField(help_text="On hold for pictures that are not done yet.")
    charged = CreditsField(help_text="Spent: the price of each picture that is done.")


class BatchItemSerializer(serializers.Serializer[Any]):
    """One picture of a batch."""

    index = serializers.IntegerField(
        source="item.position", help_text="Its position, from 0, in the order that they were sent."
    )
    name = serializers.CharField(source="item.name", help_text="File name as sent, folders of a zip included.")
    image_url = TextOrNull(source="item.source_url", help_text="The address that it is fetched from.")
    status = serializers.ChoiceField(BatchItem.State.choices, source="item.state")
    code = TextOrNull(source="item.code", help_text="Why there is no result, for machines: a code of `/rmbg`.")
    error = TextOrNull(source="item.error", help_text="The same for people.")
    width = NumberOrNull(source="item.width", help_text="Of the result, in pixels.")
    height = NumberOrNull(source="item.height", help_text="Of the result, in pixels.")
    foreground = serializers.ListField(
        source="item.foreground", child=serializers.IntegerField(), allow_null=True, min_length=4, max_length=4,
        help_text="Left, top, width and height of the subject, as in `X-Foreground-Left` and the others.",
    )  # fmt: skip
    bytes = NumberOrNull(source="item.result_size", help_text="Of the result.")
    model = TextOrNull(source="item.model", help_text="The model that made the matte, as in `X-Model`.")
    confidence = serializers.FloatField(
        source="item.confidence", allow_null=True, help_text="How sure the model is of it, 0–1, as in `X-Confidence`."
    )
    result_url = serializers.CharField(allow_null=True, help_text="Where the result is, while it is there.")


class BatchSummarySerializer(serializers.Serializer[Any]):
    """A batch without its pictures."""

    id = serializers.UUIDField(source="batch.id")
    status = serializers.ChoiceField(Batch.State.choices, source="batch.state")
    url = serializers.CharField(help_text="Where to ask for this again.")
    created_at = serializers.DateTimeField(source="batch.created_at")
    finished_at = serializers.DateTimeField(source="batch.finished_at", allow_null=True)
    expires_at = serializers.DateTimeField(source="batch.expires_at", help_text="When its pictures will be erased.")
    erased_at = serializers.DateTimeField(source="batch.erased_at", allow_null=True, help_text="When they were.")
    counts = BatchCountsSerializer(source="*")
    credits = BatchCreditsSerializer(source="*")
    options = serializers.DictField(
        source="batch.options", child=serializers.CharField(), help_text="The options as they were sent."
    )
    callback_url = TextOrNull(source="batch.callback_url")
    callback = BatchCallbackSerializer(
        source="batch.callback", allow_null=True, help_text="What became of the callback; null before the batch ends."
    )
    zip_url = serializers.CharField(allow_null=True, help_text="All results as one zip, once there are any.")


class BatchSerializer(BatchSummarySerializer):
    """A batch."""

    items = BatchItemSerializer(many=True, required=False, help_text="Left out with `items=0`.")


class BatchListSerializer(serializers.Serializer[Any]):
    """A page of batches, the newest first."""

    batches = BatchSummarySerializer(many=True)
    next = serializers.CharField(allow_null=True, help_text="Address of the next page.")


# Made once: an instance copies all its fields, which takes longer than reading them.
SUMMARY, BATCH, BATCHES = BatchSummarySerializer(), BatchSerializer(), BatchListSerializer()
