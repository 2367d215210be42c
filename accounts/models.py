"""Customers' accounts and their API keys."""

import secrets
from datetime import datetime, timedelta
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone

from accounts import key_cache
from accounts.keys import ALPHABET, LOOKUP_LENGTH, PREFIX, KeyText, new_key
from lib.amounts import Amount

# Writing the time of last use on every request would turn every busy key into a hot row.
LAST_USED_RESOLUTION = timedelta(minutes=1)
MAX_LIVE_KEYS = 20
# All that a call needs to know about its key and the key's owner.
KEY_FACTS = ["id", "user_id", "lookup", "digest", "expires_at", "revoked_at", "last_used_at", "monthly_credit_cap"]
USER_FACTS = ["id", "public_id", "is_active", "email_verified_at"]


class TooManyKeys(Exception):
    """The account has `limit` live keys, and may not have more."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit


class KeyNotLive(Exception):
    """The key has ended or was rotated before."""


def new_public_id() -> str:
    """`u_` and 16 base-62 characters (95 bits): shown to customers, support and Stripe instead of the row's id."""
    return "u_" + "".join(secrets.choice(ALPHABET) for _ in range(16))


class UserManager(BaseUserManager["User"]):
    """Accounts are found by e-mail address, whatever its letter case."""

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=(username or "").lower())

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Make an account. Without a password no one can log in until a reset sets one.

        Raises IntegrityError if the address is taken.
        """
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Make an account with all permissions, its address counted as verified."""
        user = self.create_user(email, password, is_staff=True, is_superuser=True, **fields)
        user.verify_email()
        return user


class Language(models.TextChoices):
    """Languages of the pages."""

    ENGLISH = "en", "English"
    ARABIC = "ar", "العربية"


class User(AbstractBaseUser, PermissionsMixin):
    """An account, known by its e-mail address.

    Addresses are stored in lower case. `email_verified_at` is the only record of verification that requests are checked
    against; None means not verified. allauth's EmailAddress, used for log-in and mail, follows it.
    """

    public_id = models.CharField(max_length=24, unique=True, default=new_public_id, editable=False)
    email = models.EmailField("e-mail address", max_length=254, unique=True)
    email_verified_at = models.DateTimeField(null=True, blank=True)
    name = models.CharField(max_length=150, blank=True)
    language = models.CharField(max_length=10, choices=Language.choices, default=Language.ENGLISH)
    low_balance_mails = models.BooleanField("mails when credits run low", default=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    date_joined = models.DateTimeField(default=timezone.now, editable=False, db_index=True)

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"

    objects = UserManager()

    class Meta:
        # Addresses are unique regardless of letter case, because only lower case is stored.
        constraints = [models.CheckConstraint(condition=Q(email=Lower("email")), name="user_email_lowercase")]

    def __str__(self) -> str:
        return self.email

    @property
    def is_deleted(self) -> bool:
        """Whether the account was deleted: see `accounts.deletion`. No address that can be typed ends like this."""
        return self.email.endswith("@invalid")

    def clean(self) -> None:
        super().clean()
        self.email = self.email.strip().lower()

    @transaction.atomic
    def verify_email(self) -> None:
        """Record that the address is the user's own, here and for log-in. Verifying twice keeps the first time."""
        # An address still awaiting verification must not remain as a second primary one.
        EmailAddress.objects.filter(user=self, primary=True).exclude(email=self.email).update(primary=False)
        EmailAddress.objects.update_or_create(user=self, email=self.email, defaults={"verified": True, "primary": True})
        if self.email_verified_at is None:
            self.email_verified_at = timezone.now()
            self.save(update_fields=["email_verified_at"])

    @transaction.atomic
    def hand_over(self) -> None:
        """Give an account whose address was never verified to the owner of the address, who has proved it elsewhere.

        Anyone may have made the account: nothing that they know or left is of use afterwards.
        """
        self.revoke_keys()
        Authenticator.objects.filter(user=self).delete()
        SocialAccount.objects.filter(user=self).delete()
        EmailAddress.objects.filter(user=self).exclude(email=self.email).delete()
        self.set_unusable_password()
        self.name = ""
        self.save(update_fields=["password", "name"])
        self.verify_email()

    def set_active(self, active: bool) -> None:
        """Let the user in, or shut out every session, token and key at once. Nothing is lost.

        The change itself takes the row's lock: see `accounts.standing`.
        """
        self.is_active = active
        self.save(update_fields=["is_active"])

    @transaction.atomic
    def revoke_keys(self) -> int:
        """Revoke every live key. Returns how many there were."""
        lock_keys(self.pk)
        live = ApiKey.objects.live().filter(user=self)
        key_cache.drop_all_on_commit(live)
        return live.update(revoked_at=timezone.now())


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    """Keys by state."""

    def live(self) -> "ApiKeyQuerySet":
        """Neither revoked nor expired."""
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()), revoked_at=None)


class ApiKeyManager(models.Manager["ApiKey"]):
    """Makes keys."""

    @transaction.atomic
    def issue(
        self,
        user: User,
        *,
        name: str,
        expires_at: datetime | None = None,
        monthly_credit_cap: int | None = None,
        replaces: "ApiKey | None" = None,
    ) -> tuple["ApiKey", KeyText]:
        """Make a key and return it with its text, which exists nowhere else and cannot be recovered.

        Raises TooManyKeys when the user has MAX_LIVE_KEYS live ones.
        """
        # Of two requests that would both count 19, the second waits here and counts 20.
        lock_keys(user.pk)
        if ApiKey.objects.live().filter(user=user).count() >= MAX_LIVE_KEYS:
            raise TooManyKeys(MAX_LIVE_KEYS)
        text = new_key()
        key = self.create(
            user=user,
            name=name,
            expires_at=expires_at,
            monthly_credit_cap=monthly_credit_cap,
            replaces=replaces,
            lookup=text.lookup,
            digest=text.digest(),
        )
        return key, text


class ApiKey(models.Model):
    """A caller's password. Only its keyed hash is stored (see `accounts.keys`).

    `revoked_at` and `expires_at` end it; rows are kept, because the ledger and support refer to them. A key made by
    rotation names the one it replaces; the old one then gets an `expires_at` at the end of its grace time.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=100)
    lookup = models.CharField(max_length=LOOKUP_LENGTH, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    monthly_credit_cap = models.PositiveIntegerField(null=True, blank=True)
    replaces = models.OneToOneField(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="replaced_by", editable=False
    )

    objects = ApiKeyManager.from_queryset(ApiKeyQuerySet)()
    is_remembered = False

    class Meta:
        verbose_name = "API key"
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(fields=["user", "revoked_at"])]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @classmethod
    def find(cls, lookup: str) -> "ApiKey | None":
        """The key with this lookup part and its owner: from the cache, else in one query.

        A cached key has only KEY_FACTS and USER_FACTS; anything else is fetched on access.
        """
        facts = key_cache.find(lookup)
        if facts is None:
            return cls.objects.select_related("user").filter(lookup=lookup).first()
        key = cls.from_db(None, KEY_FACTS, [facts[name] for name in KEY_FACTS])
        key.user = User.from_db(None, USER_FACTS, [facts[f"user.{name}"] for name in USER_FACTS])
        key.is_remembered = True
        return key

    def remember(self) -> None:
        """Cache the key, so that the next calls with it need no query."""
        if self.is_remembered:
            return
        facts = {name: getattr(self, name) for name in KEY_FACTS}
        facts |= {f"user.{name}": getattr(self.user, name) for name in USER_FACTS}
        # A cached entry expires sooner than a use is due to be recorded again.
        key_cache.remember(self.lookup, facts | {"last_used_at": timezone.now()})

    @property
    def prefix(self) -> str:
        """The part that may be shown: enough to distinguish keys, useless for calls."""
        return f"{PREFIX}{self.lookup}"

    @property
    def is_live(self) -> bool:
        """Whether a caller may use it now."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > timezone.now())

    @property
    def status(self) -> str:
        """`live`, `expired` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        return "live" if self.is_live else "expired"

    @transaction.atomic
    def revoke(self) -> None:
        """End the key at once and for good. Revoking twice keeps the first time."""
        # Anything being created with the key right now is created before this returns, or not at all.
        lock_keys(self.user_id)
        key_cache.drop_on_commit([self.lookup])
        ApiKey.objects.filter(pk=self.pk, revoked_at=None).update(revoked_at=timezone.now())
        self.refresh_from_db(fields=["revoked_at"])

    @transaction.atomic
    def rotate(self, grace: timedelta) -> tuple["ApiKey", KeyText]:
        """Make a key that replaces this one at once; this one keeps working for `grace`, a zero grace ends it now.

        A key with an expiry is replaced by one with the same lifetime. Raises KeyNotLive for a key that has ended
        or was already rotated, TooManyKeys when there is no room for both during the grace time.
        """
        # Of two concurrent rotations, the second waits here and finds the key rotated.
        lock_keys(self.user_id)
        now = timezone.now()
        live = ApiKey.objects.live().filter(pk=self.pk, replaced_by=None)
        end = min(self.expires_at or now + grace, now + grace)
        ended = {"expires_at": end} if grace else {"revoked_at": now}
        if not live.update(**ended):
            raise KeyNotLive
        key_cache.drop_on_commit([self.lookup])
        expires_at = now + (self.expires_at - self.created_at) if self.expires_at else None
        made = ApiKey.objects.issue(
            self.user, name=self.name, expires_at=expires_at, monthly_credit_cap=self.monthly_credit_cap, replaces=self
        )
        self.refresh_from_db(fields=["expires_at", "revoked_at"])
        return made

    @transaction.atomic
    def edit(self, *, name: str, monthly_credit_cap: int | None) -> None:
        """Change the key's name and monthly cap; None is no cap."""
        key_cache.drop_on_commit([self.lookup])
        self.name, self.monthly_credit_cap = name, monthly_credit_cap
        self.save(update_fields=["name", "monthly_credit_cap"])

    def record_use(self) -> None:
        """Note that the key was used, at most once a minute."""
        now = timezone.now()
        due = now - LAST_USED_RESOLUTION
        if self.last_used_at is None or self.last_used_at <= due:
            # The row decides: many processes may find the update due at once.
            old = ApiKey.objects.filter(Q(last_used_at=None) | Q(last_used_at__lte=due), pk=self.pk)
            old.update(last_used_at=now)


class ApiKeyMonth(models.Model):
    """Credits of one key in one UTC calendar month: `spent` on what was delivered, `on_hold` for what is being worked on.

    Both are in hundredths; see `lib.amounts` for their fields. `month` is the month's first day. They exist for the
    customer's own list and cap; the ledger does not use them.
    """

    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="months")
    month = models.DateField()
    held = models.PositiveIntegerField(default=0)
    used = models.PositiveIntegerField(default=0)
    # Database defaults too: the previous release writes rows without them.
    held_part = models.IntegerField(default=0, db_default=0)
    used_part = models.IntegerField(default=0, db_default=0)

    on_hold = Amount("held", up=True)
    spent = Amount("used", up=True)

    class Meta:
        constraints = [models.UniqueConstraint("key", "month", name="key_month_unique")]

    def __str__(self) -> str:
        return f"{self.key_id} in {self.month:%Y-%m}"


class Chore(models.Model):
    """When a piece of work that one of many processes does is due again: see `accounts.chores`."""

    name = models.CharField(max_length=40, unique=True)
    due_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} at {self.due_at:%Y-%m-%d %H:%M:%S}"


def lock_keys(user_id: int) -> None:
    """Keep others from making or ending keys of this user until the transaction ends. The user's row is the lock.

    (On SQLite it locks nothing and need not: a transaction there has exclusive use of the whole database.)
    """
    User.objects.select_for_update(no_key=True).only("pk").get(pk=user_id)
