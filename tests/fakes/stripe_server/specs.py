"""Which parameters each endpoint takes; a parameter that Stripe knows and the product never sends is not here."""

from tests.fakes.stripe_server.params import (
    Spec,
    address,
    boolean,
    email,
    integer,
    metadata,
    natural,
    one_of,
    page_size,
    string,
)

NOTHING: Spec = {}
CREATED: Spec = {"gt": integer, "gte": integer, "lt": integer, "lte": integer}
PAGE: Spec = {"limit": page_size, "starting_after": string, "ending_before": string, "created": CREATED}
INTERVAL = one_of("day", "week", "month", "year")
TAX_BEHAVIOR = one_of("exclusive", "inclusive", "unspecified")
PRORATION = one_of("always_invoice", "create_prorations", "none")

PRODUCT_UPDATE: Spec = {
    "name": string,
    "active": boolean,
    "description": string,
    "default_price": string,
    "images": [address],
    "marketing_features": [{"name!": string}],
    "metadata": metadata,
    "statement_descriptor": string,
    "tax_code": string,
    "unit_label": string,
    "url": address,
}
PRODUCT_CREATE: Spec = {
    **{name: checker for name, checker in PRODUCT_UPDATE.items() if name not in ("name", "default_price")},
    "id": string,
    "name!": string,
}
PRODUCT_LIST: Spec = {**PAGE, "active": boolean, "ids": [string]}

PRICE_UPDATE: Spec = {
    "active": boolean,
    "lookup_key": string,
    "metadata": metadata,
    "nickname": string,
    "tax_behavior": TAX_BEHAVIOR,
    "transfer_lookup_key": boolean,
}
PRICE_CREATE: Spec = {
    **PRICE_UPDATE,
    "currency!": string,
    "product": string,
    "product_data": {"name!": string, "id": string, "metadata": metadata},
    "recurring": {
        "interval!": INTERVAL,
        "interval_count": natural,
        "usage_type": one_of("licensed"),
    },
    "unit_amount": natural,
    "billing_scheme": one_of("per_unit"),
}
PRICE_LIST: Spec = {
    **PAGE,
    "active": boolean,
    "currency": string,
    "lookup_keys": [string],
    "product": string,
    "recurring": {"interval": INTERVAL, "usage_type": string},
    "type": one_of("one_time", "recurring"),
}

POSTAL_ADDRESS: Spec = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"), string)
CUSTOMER: Spec = {
    "address": POSTAL_ADDRESS,
    "description": string,
    "email": email,
    "metadata": metadata,
    "name": string,
    "phone": string,
    "preferred_locales": [string],
    "tax_exempt": one_of("exempt", "none", "reverse"),
}
CUSTOMER_LIST: Spec = {**PAGE, "email": string}

SUBSCRIPTION_DATA: Spec = {
    "description": string,
    "metadata": metadata,
    "trial_end": integer,
    "trial_period_days": natural,
    "trial_settings": {
        "end_behavior!": {"missing_payment_method!": one_of("cancel", "create_invoice", "pause")},
    },
    "proration_behavior": one_of("create_prorations", "none"),
    "billing_mode": {"type!": one_of("classic", "flexible")},
}
SESSION_CREATE: Spec = {
    "mode!": one_of("payment", "subscription"),
    "line_items!": [{"price!": string, "quantity": natural}],
    "success_url": address,
    "cancel_url": address,
    "customer": string,
    "customer_email": email,
    "customer_creation": one_of("always", "if_required"),
    "customer_update": {name: one_of("auto", "never") for name in ("address", "name", "shipping")},
    "client_reference_id": string,
    "metadata": metadata,
    "subscription_data": SUBSCRIPTION_DATA,
    "payment_intent_data": {
        "description": string,
        "metadata": metadata,
        "receipt_email": email,
        "setup_future_usage": one_of("off_session", "on_session"),
        "statement_descriptor": string,
        "statement_descriptor_suffix": string,
    },
    "invoice_creation": {"enabled!": boolean, "invoice_data": {"description": string, "metadata": metadata}},
    "payment_method_collection": one_of("always", "if_required"),
    "allowed_payment_method_types": [string],
    "allow_promotion_codes": boolean,
    "automatic_tax": {"enabled!": boolean},
    "billing_address_collection": one_of("auto", "required"),
    "tax_id_collection": {"enabled!": boolean},
    "submit_type": one_of("auto", "book", "donate", "pay", "subscribe"),
    "ui_mode": one_of("hosted_page"),
    "expires_at": integer,
    "locale": string,
}
SESSION_LIST: Spec = {
    **PAGE,
    "customer": string,
    "payment_intent": string,
    "subscription": string,
    "status": one_of("complete", "expired", "open"),
}

SWITCH: Spec = {"enabled!": boolean}
CONFIGURATION: Spec = {
    "business_profile": {"headline": string, "privacy_policy_url": address, "terms_of_service_url": address},
    "default_return_url": address,
    "features": {
        "customer_update": {**SWITCH, "allowed_updates": [string]},
        "invoice_history": SWITCH,
        "payment_method_update": SWITCH,
        "subscription_cancel": {
            **SWITCH,
            "mode": one_of("at_period_end", "immediately"),
            "proration_behavior": PRORATION,
            "cancellation_reason": {**SWITCH, "options!": [string]},
        },
        "subscription_update": {
            **SWITCH,
            "default_allowed_updates": [one_of("price", "promotion_code", "quantity")],
            "products": [{"product!": string, "prices!": [string]}],
            "proration_behavior": PRORATION,
            "schedule_at_period_end": {
                "conditions": [{"type!": one_of("decreasing_item_amount", "shortening_interval")}],
            },
        },
    },
    "metadata": metadata,
    "name": string,
    "active": boolean,
}
CONFIGURATION_CREATE: Spec = {
    **{name: checker for name, checker in CONFIGURATION.items() if name not in ("features", "active")},
    "features!": CONFIGURATION["features"],
}
PORTAL_CREATE: Spec = {
    "customer!": string,
    "configuration": string,
    "return_url": address,
    "locale": string,
    "flow_data": {
        "type!": one_of(
            "payment_method_update", "subscription_cancel", "subscription_update", "subscription_update_confirm"
        ),
        "after_completion": {
            "type!": one_of("hosted_confirmation", "portal_homepage", "redirect"),
            "redirect": {"return_url!": address},
        },
        "subscription_cancel": {"subscription!": string},
        "subscription_update": {"subscription!": string},
        "subscription_update_confirm": {
            "subscription!": string,
            "items!": [{"id!": string, "price": string, "quantity": natural}],
        },
    },
}

CANCELLATION: Spec = {"comment": string, "feedback": string}
SUBSCRIPTION_CREATE: Spec = {
    "customer!": string,
    "items!": [{"price!": string, "quantity": natural, "metadata": metadata}],
    "metadata": metadata,
    "description": string,
    "trial_end": integer,
    "trial_period_days": natural,
}
SUBSCRIPTION_UPDATE: Spec = {
    "items": [
        {"id": string, "price": string, "quantity": natural, "deleted": boolean, "metadata": metadata},
    ],
    "metadata": metadata,
    "description": string,
    "proration_behavior": PRORATION,
    "payment_behavior": one_of("allow_incomplete", "default_incomplete", "error_if_incomplete", "pending_if_incomplete"),
    "billing_cycle_anchor": one_of("now", "unchanged"),
    "cancel_at_period_end": boolean,
    "cancellation_details": CANCELLATION,
}
SUBSCRIPTION_CANCEL: Spec = {
    "cancellation_details": CANCELLATION,
    "invoice_now": boolean,
    "prorate": boolean,
}
SUBSCRIPTION_LIST: Spec = {
    **PAGE,
    "customer": string,
    "price": string,
    "status": one_of(
        "active", "all", "canceled", "ended", "incomplete", "incomplete_expired", "past_due", "paused", "trialing", "unpaid"
    ),
}

INVOICE_LIST: Spec = {
    **PAGE,
    "customer": string,
    "subscription": string,
    "status": one_of("draft", "open", "paid", "uncollectible", "void"),
}
INVOICE_PAYMENT_LIST: Spec = {
    **PAGE,
    "invoice": string,
    "payment": {"type!": one_of("payment_intent"), "payment_intent": string},
    "status": one_of("canceled", "open", "paid"),
}
CHARGE_LIST: Spec = {**PAGE, "customer": string, "payment_intent": string}
REFUND_CREATE: Spec = {
    "charge": string,
    "payment_intent": string,
    "amount": natural,
    "reason": one_of("duplicate", "fraudulent", "requested_by_customer"),
    "metadata": metadata,
}
REFUND_LIST: Spec = {**PAGE, "charge": string, "payment_intent": string}
DISPUTE_LIST: Spec = {**PAGE, "charge": string, "payment_intent": string}
EVENT_LIST: Spec = {**PAGE, "type": string, "types": [string]}
