"""The desk's pages. They are part of the admin, behind its login and second factor."""

from typing import Any, cast

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse

from accounts.admin import SupportAdmin as Desk
from accounts.models import User
from billing.credits import ledger
from billing.models import Account
from billing.payments import client as stripe_client
from billing.support import actions, search, story
from billing.support.actions import Act, Action
from billing.support.forms import ReasonForm
from lib.web.errors import get_translation

Context = dict[str, Any]


def search_page(desk: Desk, request: HttpRequest) -> HttpResponse:
    """Find what a customer quotes. The search is a POST, so that a pasted secret appears in no URL or log."""
    _require_view(desk, request)
    term = search.clean(request.POST.get("term", ""))
    hits = search.find(term)
    if len(hits) == 1:
        return redirect(hits[0].url)
    shown = term if search.is_public(term) or hits else ""
    context = {"hits": hits, "term": shown, "asked": request.method == "POST", "limit": search.LIMIT}
    return _page(desk, request, "search", "Search", context)


def account_of(desk: Desk, request: HttpRequest, public_id: str) -> HttpResponse:
    """The page of a user's account, which is created on first use."""
    _require_view(desk, request)
    user = get_object_or_404(User, public_id=public_id)
    return redirect("admin:billing_account_change", ledger.get_account(user).pk)


def account_page(desk: Desk, request: HttpRequest, object_id: str) -> HttpResponse:
    """Everything about an account. Nothing is edited here."""
    _require_view(desk, request)
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET", "HEAD"])
    account = _get(object_id)
    context = story.tell(account, request.GET)
    staff = _staff(request)
    acts = {"actions": actions.offered(staff, account), "may_act": actions.may_act(staff, account)}
    context |= acts | {"pays": stripe_client.is_enabled(), "is_deleted": actions.is_deleted(account)}
    return _page(desk, request, "account_page", str(account), context)


def action_page(desk: Desk, request: HttpRequest, pk: int, name: str) -> HttpResponse:
    """Act on an account: show what will happen, ask for the reason, and do it once confirmed."""
    _require_view(desk, request)
    account, action = _get(str(pk)), actions.ACTIONS.get(name)
    if action is None or not action.applies(account):
        raise Http404
    if not actions.may_act(_staff(request), account):
        raise PermissionDenied
    form = action.form(account, request.POST or None, initial=request.GET.dict())
    effect = None
    try:
        if request.method == "POST" and form.is_valid() and "confirmed" in request.POST:
            return _done(request, account, action, form)
        if not form.asks_more:
            effect = action.effect(account, _target(form))
        elif form.is_valid():
            effect = action.effect(account, form.cleaned_data)
    except actions.REFUSALS as refused:
        text = get_translation(refused).message
        form.add_error(None, text) if form.is_bound else messages.error(request, text)
    context = {"account": account, "action": action, "form": form, "effect": effect}
    return _page(desk, request, "action", f"{action.label}: {account}", context)


def _done(request: HttpRequest, account: Account, action: Action, form: ReasonForm) -> HttpResponse:
    done = actions.perform(action, Act(account, _staff(request), request, form.cleaned_data))
    messages.success(request, done)
    return redirect("admin:billing_account_change", account.pk)


def _target(form: ReasonForm) -> Context:
    """The row that the link names. Raises Http404 for another account's row, or one the action no longer applies to."""
    if "target" not in form.fields:
        return {}
    try:
        return {"target": form.fields["target"].clean(form["target"].value())}
    except ValidationError as error:
        raise Http404 from error


def _get(pk: str) -> Account:
    account = story.find_account(int(pk)) if pk.isdecimal() and len(pk) < 19 else None
    if account is None:
        raise Http404
    return account


def _staff(request: HttpRequest) -> User:
    # The admin admits only our users.
    return cast(User, request.user)


def _require_view(desk: Desk, request: HttpRequest) -> None:
    if not desk.has_view_permission(request):
        raise PermissionDenied


def _page(desk: Desk, request: HttpRequest, template: str, title: str, context: Context) -> HttpResponse:
    context = {**admin.site.each_context(request), "title": title, "opts": desk.opts, **context}
    return TemplateResponse(request, f"admin/billing/{template}.html", context)
