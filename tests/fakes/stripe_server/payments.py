"""Money movements: charges, refunds, disputes."""

from tests.fakes.stripe_server import shapes
from tests.fakes.stripe_server.errors import Refused, missing
from tests.fakes.stripe_server.world import Obj, World

DISPUTE_CLOSED = ("won", "lost")


def succeed(world: World, intent: Obj, email: str | None = None) -> Obj:
    """The bank pays: the charge of a payment intent."""
    intent["payment_method"] = intent["payment_method"] or world.new_id("pm")
    charge = world.add(shapes.charge(world, intent, email))
    intent.update(status="succeeded", amount_received=intent["amount"], latest_charge=charge["id"])
    intent["last_payment_error"] = None
    world.emit("charge.succeeded", charge)
    world.emit("payment_intent.succeeded", intent)
    return charge


def fail(world: World, intent: Obj) -> None:
    """The bank refuses; the intent can be tried again."""
    intent["status"] = "requires_payment_method"
    intent["last_payment_error"] = {
        "type": "card_error",
        "code": "card_declined",
        "decline_code": "generic_decline",
        "message": "Your card was declined.",
    }
    world.emit("payment_intent.payment_failed", intent)


def create_refund(world: World, params: Obj) -> Obj:
    """POST /v1/refunds: the rest of a charge, or a part."""
    charge = _charge_of(world, params)
    left = charge["amount"] - charge["amount_refunded"]
    if left == 0:
        raise Refused(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    amount = params.get("amount", left)
    if not 0 < amount <= left:
        raise Refused(f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})", param="amount")
    refund: Obj = {
        "id": world.new_id("re"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": world.new_id("txn"),
        "charge": charge["id"],
        "created": world.now,
        "currency": charge["currency"],
        "destination_details": {"card": {"type": "refund"}, "type": "card"},
        "metadata": params.get("metadata", {}),
        "payment_intent": charge["payment_intent"],
        "reason": params.get("reason"),
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded",
        "transfer_reversal": None,
    }
    previous = {"amount_refunded": charge["amount_refunded"], "refunded": charge["refunded"]}
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    world.add(refund)
    world.emit("charge.refunded", charge, previous)
    return refund


def _charge_of(world: World, params: Obj) -> Obj:
    if params.get("charge"):
        return world.get("charge", params["charge"], "charge")
    if not params.get("payment_intent"):
        raise Refused("One of the following params should be provided for this request: payment_intent or charge.")
    intent = world.get("payment_intent", params["payment_intent"], "payment_intent")
    if intent["latest_charge"] is None:
        raise Refused(f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund.")
    return world.get("charge", intent["latest_charge"])


def dispute(world: World, charge_id: str, status: str) -> Obj:
    """The bank opens a dispute (`created`), or closes it (`won`, `lost` from the merchant's side)."""
    charge = world.get("charge", charge_id, "charge")
    if status == "created":
        if charge["disputed"]:
            raise Refused(f"Charge {charge_id} is disputed already.", param="charge")
        charge["disputed"] = True
        opened = world.add(shapes.dispute(world, charge))
        world.emit("charge.dispute.created", opened)
        return opened
    if status not in DISPUTE_CLOSED:
        raise Refused("status must be one of created, won, lost", param="status")
    for found in world.all("dispute", charge=charge_id, status="needs_response"):
        found["status"] = status
        world.emit("charge.dispute.closed", found, {"status": "needs_response"})
        return found
    raise missing("dispute", charge_id, "charge")
