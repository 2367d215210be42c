"""An OpenID provider on loopback, as strict as a real one: single codes, PKCE, client secrets, RS256.

People are added to `people`; the page of the authorization endpoint lets a browser choose one, or cancel. What a provider
could do wrong is done by changing `faults`.
"""

import base64
import hashlib
import html
import json
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT_ID, CLIENT_SECRET = "cutouts", "a secret of the tests"
HOUR = 3600
Claims = dict[str, Any]


@dataclass
class Faults:
    """What the provider does wrong. Each function gets what would have been sent and returns what is sent instead."""

    token: Callable[[Claims], Claims] = lambda claims: claims
    user_info: Callable[[Claims], Claims] = lambda claims: claims
    discovery: Callable[[dict[str, Any]], Any] = lambda document: document
    answer: Callable[[dict[str, Any]], Any] = lambda answer: answer
    sign: Callable[["OpenIDProvider", Claims], str] = lambda provider, claims: provider.sign(claims)
    # Paths that answer with this status, or hang for this many seconds.
    statuses: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


class OpenIDProvider:
    """`url` is its address. `calls` are the paths that were requested by our server, in order."""

    def __init__(self) -> None:
        self.people: dict[str, Claims] = {}
        self.faults = Faults()
        self.calls: list[str] = []
        self.asked: list[dict[str, str]] = []
        self.codes: dict[str, dict[str, str]] = {}
        self.tokens: dict[str, str] = {}
        # What GitHub's API answers, which is none of OpenID's.
        self.github_emails: list[Claims] = []
        self.key = rsa.generate_private_key(65537, 2048)
        handler = type("Handler", (Handler,), {"provider": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def add(self, subject: str, email: str | None, *, verified: Any = True) -> None:
        """Someone who has an account at this provider; `verified` None means that the provider does not say."""
        claims: Claims = {"email": email, "email_verified": verified, "name": "Not Kept"}
        self.people[subject] = {"sub": subject} | {name: value for name, value in claims.items() if value is not None}

    def environment(self) -> dict[str, str]:
        """The settings of a server that uses it."""
        return {
            "OPENID_SERVER_URL": self.url, "OPENID_CLIENT_ID": CLIENT_ID, "OPENID_CLIENT_SECRET": CLIENT_SECRET,
            "OPENID_NAME": "Example ID",
        }  # fmt: skip

    def sign(self, claims: Claims, key: rsa.RSAPrivateKey | None = None) -> str:
        return jwt.encode(claims, key or self.key, "RS256", headers={"kid": "one"})

    def allow(self, place: str, subject: str) -> str:
        """What a person does who came to `place` and agrees: the address to which their browser returns."""
        asked = dict(parse_qsl(urlsplit(place).query))
        self.asked.append(asked)
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked | {"subject": subject}
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def cancel(self, place: str) -> str:
        """The same for one who does not agree."""
        asked = dict(parse_qsl(urlsplit(place).query))
        return f"{asked['redirect_uri']}?{urlencode({'error': 'access_denied', 'state': asked['state']})}"


class Handler(BaseHTTPRequestHandler):
    """The endpoints."""

    provider: OpenIDProvider

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        endpoint = {
            "/.well-known/openid-configuration": self.discover, "/jwks": self.jwks, "/userinfo": self.user_info,
            "/authorize": self.authorize, "/allow": self.allow, "/user": self.github_user,
            "/user/emails": self.github_emails,
        }.get(path)  # fmt: skip
        self.serve(path, endpoint)

    def do_POST(self) -> None:
        path = urlsplit(self.path).path
        self.serve(path, self.token if path == "/token" else None)

    def serve(self, path: str, endpoint: Callable[[], None] | None) -> None:
        faults = self.provider.faults
        if path not in ("/authorize", "/allow"):
            self.provider.calls.append(path)
        time.sleep(faults.seconds.get(path, 0))
        if path in faults.statuses or endpoint is None:
            self.answer(faults.statuses.get(path, 404), b"{}")
        else:
            endpoint()

    def discover(self) -> None:
        url = self.provider.url
        document = {
            "issuer": url, "authorization_endpoint": f"{url}/authorize", "token_endpoint": f"{url}/token",
            "userinfo_endpoint": f"{url}/userinfo", "jwks_uri": f"{url}/jwks",
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
        }  # fmt: skip
        self.send(self.provider.faults.discovery(document))

    def jwks(self) -> None:
        public = jwt.algorithms.RSAAlgorithm.to_jwk(self.provider.key.public_key(), as_dict=True)
        self.send({"keys": [public | {"kid": "one", "use": "sig", "alg": "RS256"}]})

    def authorize(self) -> None:
        query = urlsplit(self.path).query
        people = "".join(
            f'<p><a href="{html.escape(f"/allow?as={quote(subject)}&{query}")}">Continue as {html.escape(subject)}</a></p>'
            for subject in self.provider.people
        )
        cancel = html.escape(self.provider.cancel(self.path))
        page = f"<!doctype html><title>Example ID</title><h1>Example ID</h1>{people}<p><a href='{cancel}'>Cancel</a></p>"
        self.answer(200, page.encode(), "text/html")

    def allow(self) -> None:
        subject = parse_qs(urlsplit(self.path).query)["as"][0]
        self.send_response(302)
        self.send_header("Location", self.provider.allow(self.path, subject))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def token(self) -> None:
        sent = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        asked = self.provider.codes.pop(sent.get("code", ""), None)
        hashed = hashlib.sha256(sent.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(hashed).rstrip(b"=").decode()
        is_right = (
            asked is not None
            and (sent["client_id"], sent["client_secret"]) == (CLIENT_ID, CLIENT_SECRET)
            and (asked["code_challenge_method"], asked["code_challenge"]) == ("S256", challenge)
            and sent["redirect_uri"] == asked["redirect_uri"]
        )
        if asked is None or not is_right:
            self.answer(400, b'{"error": "invalid_grant"}')
            return
        now = int(time.time())
        claims = {
            "iss": self.provider.url, "aud": CLIENT_ID, "sub": asked["subject"], "nonce": asked.get("nonce"), "iat": now,
            "exp": now + HOUR,
        }  # fmt: skip
        access = secrets.token_urlsafe(16)
        self.provider.tokens[access] = asked["subject"]
        faults = self.provider.faults
        signed = faults.sign(self.provider, faults.token(claims))
        self.send(faults.answer({"access_token": access, "token_type": "Bearer", "id_token": signed}))

    def github_user(self) -> None:
        self.send({"id": 4711, "login": "ada", "name": "Not Kept", "email": None, "bio": "Not kept"})

    def github_emails(self) -> None:
        self.send(self.provider.github_emails)

    def user_info(self) -> None:
        subject = self.provider.tokens[self.headers["Authorization"].removeprefix("Bearer ")]
        self.send(self.provider.faults.user_info(dict(self.provider.people[subject])))

    def send(self, document: Any) -> None:
        self.answer(200, json.dumps(document).encode())

    def answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""
