"""The providers that customers may log in with, as allauth's settings have them."""

from typing import Any

Client = tuple[str, str]

GOOGLE = "https://accounts.google.com"
PKCE = {"OAUTH_PKCE_ENABLED": True}
# `prompt_again`: with this prompt a provider asks who it is, although its own log-in still lasts.
CHOOSE = {"prompt_again": "select_account"}


def log_in_providers(
    *, google: Client, github: Client, openid: Client, server_url: str, name: str, verified_domains: list[str]
) -> dict[str, Any]:
    """SOCIALACCOUNT_PROVIDERS. A client is its id and secret; a provider without both of them is off.

    Google is an ordinary OpenID provider. GitHub is not: it has plain OAuth and its own API.
    """
    apps = []
    if all(google):
        settings: dict[str, Any] = {"server_url": GOOGLE, "verified_domains": [], **CHOOSE}
        apps.append({"provider_id": "google", "name": "Google", "settings": settings, **_client(google)})
    if all(openid) and server_url:
        settings = {"server_url": server_url.rstrip("/"), "prompt_again": "login"}
        settings["verified_domains"] = [domain.lower() for domain in verified_domains]
        apps.append({"provider_id": "openid", "name": name, "settings": settings, **_client(openid)})
    providers: dict[str, Any] = {}
    if apps:
        providers["openid_connect"] = {"APPS": apps, "SCOPE": ["openid", "email"], **PKCE}
    if all(github):
        app = {"provider_id": "", "name": "GitHub", "settings": CHOOSE, **_client(github)}
        providers["github"] = {"APPS": [app], "SCOPE": ["user:email"], **PKCE}
    return providers


def _client(client: Client) -> dict[str, str]:
    return {"client_id": client[0], "secret": client[1]}
