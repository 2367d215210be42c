"""What a buyer sees: Checkout, the portal, an invoice. Plain HTML from this server alone."""

from datetime import UTC, datetime
from html import escape

from tests.fakes.stripe_server import checkout, invoicing, portal
from tests.fakes.stripe_server.errors import Refused
from tests.fakes.stripe_server.world import Obj, World

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #ccc}"
    "form{display:inline}button{font:inherit;margin:.2rem .3rem .2rem 0;padding:.3rem .8rem}"
    ".error{color:#b00020}.note{color:#555}"
)


def _page(title: str, body: str, error: str = "") -> str:
    alert = f'<p class="error" role="alert">{escape(error)}</p>' if error else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<link rel="icon" href="data:,"><style>{STYLE}</style></head><body><h1>{escape(title)}</h1>'
        f'<p class="note">A stand-in for Stripe. No money moves.</p>{alert}{body}</body></html>'
    )


def _money(amount: int, currency: str) -> str:
    sign = "-" if amount < 0 else ""
    return f"{sign}{abs(amount) // 100}.{abs(amount) % 100:02d} {currency.upper()}"


def _date(moment: int) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M}"


def _button(address: str, label: str, **fields: str) -> str:
    hidden = "".join(f'<input type="hidden" name="{name}" value="{escape(text)}">' for name, text in fields.items())
    return f'<form method="post" action="{escape(address)}">{hidden}<button>{escape(label)}</button></form>'


def _interval(price: Obj) -> str:
    return f" per {price['recurring']['interval']}" if price["recurring"] else ""


def show_checkout(world: World, id: str, error: str = "") -> str:
    """GET /pay/:id."""
    session = world.get("checkout.session", id)
    rows = "".join(
        f"<tr><td>{escape(line['description'])}</td><td>{line['quantity']}</td>"
        f"<td>{_money(line['amount_total'], line['currency'])}{_interval(line['price'])}</td></tr>"
        for line in session["_line_items"]
    )
    total = f"<p>Total due today: <strong>{_money(session['amount_total'], session['currency'])}</strong></p>"
    if session["status"] != "open":
        buttons = f"<p>This session is {session['status']}.</p>"
    else:
        labels = {"pay": "Pay", "fail": "Pay with a failing card", "async": "Pay later (async)", "back": "Back"}
        buttons = "".join(_button(f"/pay/{id}", label, action=action) for action, label in labels.items())
    return _page("Checkout", f"<table>{rows}</table>{total}{buttons}", error)


def click_checkout(world: World, id: str, form: dict[str, str]) -> str:
    """POST /pay/:id: where to redirect the browser; raises `Refused` with the message for the buyer."""
    action = form.get("action", "")
    if action == "back":
        return str(world.get("checkout.session", id)["cancel_url"] or f"/pay/{id}")
    if action == "fail":
        checkout.decline(world, id)
        raise Refused("Your card was declined.", status=402)
    if action not in ("pay", "async"):
        raise Refused(f"No such button: {action}")
    return checkout.success_url(checkout.pay(world, id, later=action == "async"))


def show_portal(world: World, id: str, error: str = "") -> str:
    """GET /portal/:id."""
    session = world.get("billing_portal.session", id)
    body = "".join(_subscription(world, session, each) for each in portal.subscriptions_of(world, session))
    body = body or "<p>No subscription.</p>"
    if portal.feature(world, session, "payment_method_update")["enabled"]:
        body += _card(world, session)
    if portal.feature(world, session, "invoice_history")["enabled"]:
        body += _invoices(world, session)
    if session["return_url"]:
        body += f'<p><a href="{escape(session["return_url"])}">Return</a></p>'
    return _page("Customer portal", body, error)


def click_portal(world: World, id: str, form: dict[str, str]) -> str:
    """POST /portal/:id: the same page again, with the change made."""
    portal.act(world, world.get("billing_portal.session", id), form)
    return f"/portal/{id}"


def _subscription(world: World, session: Obj, subscription: Obj) -> str:
    item = subscription["items"]["data"][0]
    names = {product["id"]: product["name"] for product in world.all("product")}
    address, id = f"/portal/{session['id']}", subscription["id"]
    html = f"<h2>{escape(names[item['price']['product']])}</h2><p>Status: {subscription['status']}. "
    if subscription["cancel_at_period_end"]:
        html += f"Ends on {_date(item['current_period_end'])} UTC.</p>"
    else:
        html += f"Renews on {_date(item['current_period_end'])} UTC.</p>"
    if subscription["schedule"]:
        planned = world.get("subscription_schedule", subscription["schedule"])["phases"][-1]["items"][0]["price"]
        html += f"<p>Then {escape(names[world.get('price', planned)['product']])}.</p>"
    if portal.feature(world, session, "subscription_update")["enabled"]:
        html += "<ul>"
        for price in portal.prices_of(world, session):
            text = f"{escape(names[price['product']])}: {_money(price['unit_amount'], price['currency'])}{_interval(price)}"
            current = price["id"] == item["price"]["id"] and not subscription["schedule"]
            label = f"Switch to {names[price['product']]}"
            button = _button(address, label, action="switch", subscription=id, price=price["id"])
            html += f"<li>{text} {'(current)' if current else button}</li>"
        html += "</ul>"
    return html + _cancellation(world, session, subscription)


def _cancellation(world: World, session: Obj, subscription: Obj) -> str:
    address, id = f"/portal/{session['id']}", subscription["id"]
    if subscription["cancel_at_period_end"]:
        return _button(address, "Resume", action="resume", subscription=id)
    if not portal.feature(world, session, "subscription_cancel")["enabled"]:
        return ""
    later = _button(address, "Cancel at period end", action="cancel_at_period_end", subscription=id)
    return later + _button(address, "Cancel now", action="cancel_now", subscription=id)


def _card(world: World, session: Obj) -> str:
    address = f"/portal/{session['id']}"
    failing = session["customer"] in world.failing_cards
    label = "Replace it with a good card" if failing else "Replace it with a failing card"
    text = "The card is refused by its bank." if failing else "Visa, ending in 4242."
    return f"<h2>Card</h2><p>{text}</p>" + _button(address, label, action="card", fails=str(not failing).lower())


def _invoices(world: World, session: Obj) -> str:
    rows = ""
    for invoice in invoicing.list_invoices(world, {"customer": session["customer"]}):
        pay = _button(f"/portal/{session['id']}", "Pay invoice", action="pay", invoice=invoice["id"])
        rows += (
            f'<tr><td><a href="/invoice/{invoice["id"]}">{invoice["number"]}</a></td>'
            f"<td>{_date(invoice['created'])}</td><td>{_money(invoice['total'], invoice['currency'])}</td>"
            f"<td>{invoice['status']} {pay if invoice['status'] == 'open' else ''}</td></tr>"
        )
    return f"<h2>Invoices</h2><table>{rows}</table>"


def show_invoice(world: World, id: str, error: str = "") -> str:
    """GET /invoice/:id."""
    invoice = world.get("invoice", id)
    rows = "".join(
        f"<tr><td>{escape(line['description'])}</td><td>{_date(line['period']['start'])} to "
        f"{_date(line['period']['end'])}</td><td>{_money(line['amount'], line['currency'])}</td></tr>"
        for line in invoice["lines"]["data"]
    )
    total = f"<p>{invoice['status']}: {_money(invoice['total'], invoice['currency'])}</p>"
    return _page(f"Invoice {invoice['number']}", f"<table>{rows}</table>{total}", error)
