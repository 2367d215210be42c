"""`POST /rmbg` with `image_url` connects to public addresses only, and over TLS only to the host that was named."""

import pytest

from lib.outbound import client as outbound
from tests.hosts import Host, Names, answer, make_certificate, networks, redirect
from tests.imaging.removal.image_urls import PRIVATE, UNREACHABLE, ask, assert_refused

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh_places")]


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.0.0.1.", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]", "[::]", "localhost", "LOCALHOST.", "127。0。0。1", "①②⑦.0.0.1", "2130706433",
        "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "127.1", "0", "%31%32%37.0.0.1", "[::ffff:127.0.0.1%25lo]",
        "user@127.0.0.1", "example.com@127.0.0.1",
        "0.0.0.0",  # noqa: S104 - an address to connect to, which Linux takes for this machine
    ],
)  # fmt: skip
def test_this_machine_is_not_reached_however_it_is_written(settings, hosts, key, host):
    secret = hosts(lambda path: [answer(b"secret")])
    settings.IMAGE_URL_PORTS = [secret.port]
    response = ask(f"http://{host}:{secret.port}/", key)
    assert response.json()["code"] in ("image_url_forbidden", "image_url_invalid")
    assert_refused(response, response.json()["code"])
    assert secret.connections == 0


def test_the_ipv6_loopback_is_not_reached(settings, hosts):
    secret = hosts(lambda path: [answer(b"secret")], address="::1")
    settings.IMAGE_URL_PORTS = [secret.port]
    assert_refused(ask(f"http://[::1]:{secret.port}/"), "image_url_forbidden", PRIVATE)
    assert_refused(ask(f"http://[::1%25lo]:{secret.port}/"), "image_url_invalid")
    assert secret.connections == 0


def test_a_private_name_and_an_unknown_one_look_alike(names, web):
    names.answers = {"db.internal": [["10.0.0.5"]]}
    web(lambda path: [])
    port = web(lambda path: []).port
    known, unknown = ask(f"http://db.internal:{port}/"), ask(f"http://no.internal:{port}/")
    assert known.content == unknown.content
    assert_refused(known, "image_url_forbidden", PRIVATE)


@pytest.fixture
def two_sides(settings, hosts, small_png):
    """A public server and a private one on the same port: only 127.0.0.2 may be reached."""
    settings.OUTBOUND_ALLOWED_NETWORKS = networks("127.0.0.2/32")
    public = hosts(lambda path: [redirect("/again") if path == "/first" else answer(small_png)], address="127.0.0.2")
    private = hosts(lambda path: [answer(small_png)], address="127.0.0.1", port=public.port)
    settings.IMAGE_URL_PORTS = [public.port]
    return public, private


def test_a_name_that_answers_differently_the_second_time(quick_model, two_sides, names: Names):
    public, private = two_sides
    names.answers = {"rebind.test": [["127.0.0.2"], ["127.0.0.1"]]}
    assert ask(f"http://rebind.test:{public.port}/a").status_code == 200
    assert names.looked_up == ["rebind.test"]
    assert ask(f"http://rebind.test:{public.port}/a").json()["code"] == "image_url_forbidden"
    assert private.connections == 0


def test_a_name_that_changes_between_redirects(two_sides, names, key):
    public, private = two_sides
    names.answers = {"rebind.test": [["127.0.0.2"], ["127.0.0.1"]]}
    assert_refused(ask(f"http://rebind.test:{public.port}/first", key), "image_url_forbidden", PRIVATE)
    assert (public.connections, private.connections) == (1, 0)


def test_a_name_with_a_public_and_a_private_address(two_sides, names):
    public, private = two_sides
    names.answers = {"mixed.test": [["127.0.0.2", "127.0.0.1"]]}
    assert_refused(ask(f"http://mixed.test:{public.port}/a"), "image_url_forbidden", PRIVATE)
    assert (public.connections, private.connections) == (0, 0)


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("http://127.0.0.1:{port}/", PRIVATE),
        ("//127.0.0.1:{port}/", PRIVATE),
        ("http://[::ffff:127.0.0.1]:{port}/", PRIVATE),
        ("http://169.254.169.254:{port}/latest/meta-data", PRIVATE),
        ("http://127.0.0.2:6379/", "'image_url' may not be fetched: port 6379 is not allowed."),
        ("file:///etc/passwd", None),
        ("http://2130706433:{port}/", None),
        ("http://a:b@127.0.0.2:{port}/", None),
        ("http://[", None),
    ],
)
def test_a_redirect_to_a_forbidden_address(settings, hosts, key, location, message):
    settings.OUTBOUND_ALLOWED_NETWORKS = networks("127.0.0.2/32")
    public: Host = hosts(lambda path: [redirect(location.format(port=public.port))], address="127.0.0.2")
    private = hosts(lambda path: [answer(b"secret")], port=public.port)
    settings.IMAGE_URL_PORTS = [public.port]
    message = message or "'image_url' may not be fetched: it redirects to an address that cannot be used."
    assert_refused(ask(f"http://127.0.0.2:{public.port}/", key), "image_url_forbidden", message)
    assert (public.connections, private.connections) == (1, 0)


def test_a_redirect_too_many(web, key):
    host = web(lambda path: [redirect(f"{path}x")])
    message = "'image_url' redirects more than 3 times."
    assert_refused(ask(f"http://127.0.0.1:{host.port}/", key), "image_url_redirects", message)
    assert host.connections == 4


# --- TLS ------------------------------------------------------------------------------------------


@pytest.fixture
def tls(tmp_path, monkeypatch):
    """The server's side of a certificate for pictures.test, which this machine trusts."""
    public, context = make_certificate(tmp_path, "pictures.test")
    monkeypatch.setenv("SSL_CERT_FILE", str(public))
    outbound.trusted_certificates.cache_clear()
    yield context
    outbound.trusted_certificates.cache_clear()


def test_a_picture_over_https(quick_model, web, names, tls, small_png):
    host = web(lambda path: [answer(small_png)], tls=tls)
    names.answers = {"pictures.test": [["127.0.0.1"]]}
    assert ask(f"https://pictures.test:{host.port}/a.png").status_code == 200
    assert f"\r\nHost: pictures.test:{host.port}\r\n" in host.requests[0]


def test_a_certificate_of_another_name(web, names, tls):
    host = web(lambda path: [answer(b"")], tls=tls)
    names.answers = {"other.test": [["127.0.0.1"]]}
    assert_refused(ask(f"https://other.test:{host.port}/"), "image_url_unreachable", UNREACHABLE)
    assert host.requests == []


def test_an_untrusted_certificate(web, names, tmp_path):
    host = web(lambda path: [answer(b"")], tls=make_certificate(tmp_path, "pictures.test")[1])
    names.answers = {"pictures.test": [["127.0.0.1"]]}
    assert_refused(ask(f"https://pictures.test:{host.port}/"), "image_url_unreachable", UNREACHABLE)
    assert host.requests == []


def test_a_redirect_from_https_to_http(web, names, tls, small_png):
    plain = web(lambda path: [answer(small_png)])
    host = web(lambda path: [redirect(f"http://pictures.test:{plain.port}/")], tls=tls)
    names.answers = {"pictures.test": [["127.0.0.1"]]}
    message = "'image_url' may not be fetched: it redirects from https to http."
    assert_refused(ask(f"https://pictures.test:{host.port}/"), "image_url_forbidden", message)
    assert plain.connections == 0
