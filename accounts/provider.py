"""The providers of log-ins. allauth looks for `provider_classes` in a module of this name, in each app.

allauth's OpenID Connect sends no nonce, trusts the connection instead of the signature of an id token, and takes user info
of any subject. Here all three are checked, so that a log-in is safe over the networks of operators, too.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jwt
from allauth.account.models import EmailAddress
from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.app_settings import UID_MAX_LENGTH
from allauth.socialaccount.models import SocialApp, SocialLogin, SocialToken
from allauth.socialaccount.providers.base import AuthProcess
from allauth.socialaccount.providers.github.provider import GitHubProvider
from allauth.socialaccount.providers.oauth2.client import OAuth2Client, OAuth2Error
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.http import HttpRequest

# Public-key algorithms only: with `none` or an HMAC, anyone who knows the public key could sign.
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
CLAIMS = ["iss", "sub", "aud", "exp", "iat"]
# Seconds by which the provider's clock may differ from ours.
LEEWAY = 60


def nonce_of(code_verifier: str) -> str:
    """The nonce of a log-in: a hash of the secret that PKCE keeps in the session (OpenID Connect Core, 15.5.2)."""
    return hashlib.sha256(f"nonce {code_verifier}".encode()).hexdigest()


@contextmanager
def malformed(what: str) -> Iterator[None]:
    """Report what does not have the shape that the specification demands."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise OAuth2Error(f"{what} is malformed: {error!r}") from error


class OpenIDAdapter(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]
    """Reads the provider's answers."""

    nonce = ""

    @property
    def openid_config(self) -> dict[str, Any]:
        """The provider's discovery document. Raises OAuth2Error, or what requests raises."""
        names = ("issuer", "authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri")
        with malformed("the discovery document"):
            config: dict[str, Any] = super().openid_config
            if not all(isinstance(config[name], str) for name in names):
                raise TypeError("an address is no text")
        return config

    def get_access_token_data(
        self, request: HttpRequest, app: SocialApp, client: OAuth2Client, pkce_code_verifier: str | None = None
    ) -> dict[str, Any]:
        """Exchange the code. The nonce that the id token must have follows from the verifier."""
        self.nonce = nonce_of(pkce_code_verifier or "")
        with malformed("the token response"):
            data: dict[str, Any] = super().get_access_token_data(request, app, client, pkce_code_verifier)
            if not isinstance(data["id_token"], str):
                raise TypeError("no id token")
        return data

    def complete_login(self, request: HttpRequest, app: SocialApp, token: SocialToken, **kwargs: Any) -> SocialLogin:
        """The log-in, after all checks."""
        with malformed("the user info"):
            return super().complete_login(request, app, token, **kwargs)

    def _decode_id_token(self, app: SocialApp, id_token: str) -> dict[str, Any]:
        with get_adapter().get_requests_session() as session:
            answer = session.get(self.openid_config["jwks_uri"])
            answer.raise_for_status()
        try:
            key = _find_key(jwt.PyJWKSet.from_dict(answer.json()), jwt.get_unverified_header(id_token).get("kid"))
            claims: dict[str, Any] = jwt.decode(
                id_token,
                key,
                algorithms=ALGORITHMS,
                audience=app.client_id,
                issuer=self.openid_config["issuer"],
                leeway=LEEWAY,
                options={"require": CLAIMS},
            )
        except jwt.PyJWTError as error:
            raise OAuth2Error(f"the id token is not valid: {error}") from error
        if claims.get("nonce") != self.nonce:
            raise OAuth2Error("the id token belongs to another log-in")
        return claims


def _find_key(keys: jwt.PyJWKSet, kid: str | None) -> jwt.PyJWK:
    """The key that a token names; a token may leave that out where there is only one."""
    found = [key for key in keys.keys if key.key_id == kid or (kid is None and len(keys.keys) == 1)]
    if not found:
        raise OAuth2Error("the id token is signed with an unknown key")
    return found[0]


class FixedRequest:
    """For providers: what is asked of them is the same for every visitor. allauth would let the query string add to it."""

    app: SocialApp

    def get_auth_params_from_request(self, request: HttpRequest, action: str) -> dict[str, str]:
        """Someone who is logged in has come to prove that it is still them: the provider should ask, too."""
        is_again = request.user.is_authenticated and request.POST.get("process") != AuthProcess.CONNECT
        return {"prompt": self.app.settings["prompt_again"]} if is_again else {}

    def get_scope_from_request(self, request: HttpRequest) -> list[str]:
        """The address, and no more than that."""
        scope: list[str] = self.get_scope()  # type: ignore[attr-defined]
        return scope


class GitHub(FixedRequest, GitHubProvider):  # type: ignore[misc]
    """allauth's own."""


class OpenIDProvider(FixedRequest, OpenIDConnectProvider):  # type: ignore[misc]
    """Google, or the operator's own provider."""

    oauth2_adapter_class = OpenIDAdapter

    def get_pkce_params(self) -> dict[str, Any]:
        """What goes to the provider: the challenge of PKCE, and the nonce."""
        params: dict[str, Any] = super().get_pkce_params()
        return params | {"nonce": nonce_of(params["code_verifier"])}

    def extract_uid(self, data: dict[str, Any]) -> str:
        """The subject, which the id token and the user info must agree on (OpenID Connect Core, 5.3.2)."""
        subject = data["id_token"]["sub"]
        if data["userinfo"]["sub"] != subject:
            raise OAuth2Error("id token and user info have different subjects")
        if not isinstance(subject, str) or not 0 < len(subject) <= UID_MAX_LENGTH or not subject.isprintable():
            raise OAuth2Error("the subject cannot be stored")
        return subject

    def extract_email_addresses(self, data: dict[str, Any]) -> list[EmailAddress]:
        """The address. It counts as verified only if the claim says so: some providers send "false" as text."""
        claims = data["id_token"] | data["userinfo"]
        email = claims.get("email")
        if not isinstance(email, str):
            return []
        # Some providers never send the claim. Then the operator may vouch for a domain.
        unsaid = email.rpartition("@")[2].lower() in self.app.settings["verified_domains"]
        verified = claims.get("email_verified", unsaid) in (True, "true")
        return [EmailAddress(email=email, verified=verified, primary=True)]

    def extract_common_fields(self, data: dict[str, Any]) -> dict[str, Any]:
        """Nothing else is read."""
        return {}


provider_classes = [OpenIDProvider, GitHub]
