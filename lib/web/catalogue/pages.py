"""Errors of pages and of staff, and those of payments. Their messages are translated: a page shows them."""

from django.utils.translation import gettext_lazy as _

from lib.web.catalogue.row import Row

ROWS = {
    "key_not_live": Row(status=409, message=_("This key has ended or was rotated before.")),
    "too_many_keys": Row(
        status=409, message=_("An account can have at most {limit} live keys. Revoke one that you no longer use.")
    ),
    # Its message is the objection.
    "deletion_refused": Row(status=409),
    "no_such_cycle": Row(status=404, message=_("No billing cycle of your account starts then.")),
    "reason_required": Row(status=400, message="A reason is required."),
    "balance_too_low": Row(status=400, message="The account has fewer prepaid credits than that."),
    "done_before": Row(status=409, message="This form was sent before: the credits have moved already."),
    "hold_settled": Row(status=409, message="The hold was settled or renewed meanwhile."),
    "own_account": Row(status=400, message="You cannot lock yourself out."),
    "already_subscribed": Row(
        status=409, message=_("You have a subscription already. Change its plan on the billing page.")
    ),
    "not_on_sale": Row(status=404, message=_("This is not on sale at the moment.")),
    "payment_switched_off": Row(status=503, message=_("Payment is switched off on this server.")),
    "payment_object_unknown": Row(status=400, message=_("The payment provider does not know this object.")),
    "payment_request_invalid": Row(status=400, message=_("The payment provider refused the request.")),
    "payment_provider_unavailable": Row(
        status=502,
        message=_("The payment provider cannot be reached at the moment. Nothing was charged; try again in a minute."),
    ),
    # Where the provider says why, in the customer's language, that is the message.
    "card_declined": Row(status=400, message=_("The card was declined.")),
    "payment_account_busy": Row(
        status=503,
        message="Another payment event of this account is being processed. Try again in a moment.",
        headers={"Retry-After": "5"},
    ),
    "event_not_processed": Row(status=503, message="The event could not be processed. Send it again."),
    "invalid_event": Row(status=400, message="The event's {name} cannot be stored."),
    "invalid_signature": Row(status=400, message="The body does not carry a valid signature."),
}
