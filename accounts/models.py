"""Who our customers are, and the keys they call with."""

import secrets
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone

from accounts.keys import ALPHABET, LOOKUP_LENGTH, KeyText, new_key

# Writing the time of last use on every request would make a hot row of every busy key.
LAST_USED_RESOLUTION = timedelta(minutes=1)


def new_public_id() -> str:
    """`u_` and 16 base-62 characters (95 bits): shown to customers, support and Stripe instead of the row's number."""
    return "u_" + "".join(secrets.choice(ALPHABET) for _ in range(16))


class UserManager(BaseUserManager["User"]):
    """Accounts are found by e-mail address, whatever its letter case."""

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=(username or "").lower())

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Make an account. Without a password nobody can log in until one is set by reset.

        Raises IntegrityError if the address is taken.
        """
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Make an account with every right, its address taken for verified."""
        fields.setdefault("email_verified_at", timezone.now())
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


class User(AbstractBaseUser, PermissionsMixin):
    """An account, known by its e-mail address.

    Addresses are stored in lower case. `email_verified_at` is the one record of verification that requests are judged
    by; None means not verified.
    """

    public_id = models.CharField(max_length=24, unique=True, default=new_public_id, editable=False)
    email = models.EmailField("e-mail address", max_length=254, unique=True)
    email_verified_at = models.DateTimeField(null=True, blank=True)
    name = models.CharField(max_length=150, blank=True)
    language = models.CharField(max_length=10, default="en")
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    date_joined = models.DateTimeField(default=timezone.now, editable=False)

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"

    objects = UserManager()

    class Meta:
        # Addresses are unique whatever their letter case, because only one letter case is stored.
        constraints = [models.CheckConstraint(condition=Q(email=Lower("email")), name="user_email_lowercase")]

    def __str__(self) -> str:
        return self.email

    def clean(self) -> None:
        super().clean()
        self.email = self.email.strip().lower()

    def verify_email(self) -> None:
        """Record that the address is the user's own. Verifying twice keeps the first time."""
        if self.email_verified_at is None:
            self.email_verified_at = timezone.now()
            self.save(update_fields=["email_verified_at"])


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    """Keys by state."""

    def live(self) -> "ApiKeyQuerySet":
        """Neither revoked nor expired."""
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()), revoked_at=None)


class ApiKeyManager(models.Manager["ApiKey"]):
    """Makes keys."""

    def issue(self, user: User, *, name: str, expires_at: datetime | None = None) -> tuple["ApiKey", KeyText]:
        """Make a key and return it with its text, which exists nowhere else and cannot be had again."""
        text = new_key()
        key = self.create(user=user, name=name, expires_at=expires_at, lookup=text.lookup, digest=text.digest())
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

    class Meta:
        verbose_name = "API key"
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(fields=["user", "revoked_at"])]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def prefix(self) -> str:
        """The part that may be shown: enough to tell keys apart, useless to call with."""
        return f"rmbg_{self.lookup}"

    @property
    def is_live(self) -> bool:
        """Whether a caller may use it now."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > timezone.now())

    def revoke(self) -> None:
        """End the key now and for good. Revoking twice keeps the first time."""
        ApiKey.objects.filter(pk=self.pk, revoked_at=None).update(revoked_at=timezone.now())
        self.refresh_from_db(fields=["revoked_at"])

    def record_use(self) -> None:
        """Note that the key was used, at most once a minute."""
        now = timezone.now()
        if self.last_used_at is None or now - self.last_used_at >= LAST_USED_RESOLUTION:
            ApiKey.objects.filter(pk=self.pk).update(last_used_at=now)
