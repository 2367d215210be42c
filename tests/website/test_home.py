"""`/` and `/editor`: what each visitor gets. tests/browser covers what happens on them."""

import io
import posixpath
import re
from pathlib import Path

import pytest
from django.conf import settings as settings_of_project
from django.contrib.staticfiles import finders
from django.test import Client
from PIL import Image

from billing.credits import ledger, prices
from billing.models import CreditPack, Plan
from imaging.executor import models
from website import speed
from website.showcase import SAMPLES

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner(client: Client, user) -> Client:
    client.force_login(user)
    return client


def text_of(response) -> str:
    return response.content.decode()


def test_the_front_page_is_public(client, owner):
    for browser in (Client(), owner):
        response = browser.get("/")
        assert response.status_code == 200
        assert "Remove the background of any picture" in text_of(response)


def test_the_front_page_shows_the_plans_prices_and_the_address_to_call(client):
    text = text_of(client.get("/"))
    assert "Premium-5000" in text
    assert "$69" in text
    assert "5,000 pictures a month" in text
    assert "http://testserver/rmbg" in text


def test_each_price_is_also_that_of_one_picture(client):
    Plan.objects.filter(label="Premium-1000").update(price_cents=1000)
    CreditPack.objects.filter(credits=100).update(price_cents=333)
    CreditPack.objects.filter(credits=500).update(is_listed=False)
    text = text_of(client.get("/"))
    assert "1 cent a picture" in text
    assert "1.38 cents a picture" in text
    assert "3.33 cents a picture" in text
    assert "500 credits" not in text
    assert "0 cents" not in text


def test_a_dearer_model_makes_fewer_pictures_of_a_plan(client, user):
    prices.change("operation", "image", 200, staff=user, reason="test")
    text = text_of(client.get("/"))
    assert "A picture of any size costs 2 credits, a preview of a quarter of a megapixel 0.25, a failure nothing." in text
    assert "2,500 pictures a month" in text
    assert "2.76 cents a picture" in text


def test_the_way_from_remove_bg_names_this_server(client):
    text = text_of(client.get("/"))
    assert "<del>-  https://api.remove.bg/v1.0/removebg" in text
    assert "<ins>+  http://testserver/v1.0/removebg" in text
    assert 'href="/docs/removebg"' in text


def test_the_speed_on_the_page_is_that_of_the_benchmarks(client):
    documented = (settings_of_project.BASE_DIR / "docs/benchmarks.md").read_text()
    for figure in (*speed.FIGURES, speed.OLDER):
        assert figure.as_row() in documented
    for day in (speed.MEASURED, speed.MEASURED_OLDER):
        assert f"{day.day} {day:%B %Y}" in documented
    text = text_of(client.get("/"))
    assert "Measured on 30 Nov 2026" in text
    assert "0.41–0.48 s" in text
    assert "3.3 × as many" in text


def test_how_long_results_of_batches_are_kept_is_the_setting(client, settings):
    settings.BATCH_HOURS = 3
    assert "Results of a batch are kept for 3 hours, or until you erase them." in text_of(client.get("/"))


def test_the_front_page_shows_how_many_are_free(client, settings):
    settings.ANONYMOUS_IMAGES_PER_DAY = 7
    assert "7 a day are free" in text_of(client.get("/"))


def test_the_editor_sends_anonymous_visitors_to_log_in(client):
    response = client.get("/editor")
    assert response.status_code == 302
    assert response.headers["Location"] == "/accounts/login/?next=/editor"


def test_the_editor_shows_the_balance_and_is_never_cached(owner, user):
    ledger.grant_prepaid(ledger.get_account(user), 1000, reference="test")
    response = owner.get("/editor")
    assert response.status_code == 200
    assert "<strong>1,050</strong> credits left" in text_of(response)
    assert "50 included, 1,000 prepaid" in text_of(response)
    assert "no-store" in response.headers["Cache-Control"]


def read(response) -> bytes:
    """All of a file, which closes it as Django's client does: close() itself would close the test's connection."""
    return b"".join(response.streaming_content) if response.streaming else response.content


def test_only_the_editor_and_its_worker_may_run_webassembly(owner):
    """A worker has the policy of its script, which is a static file. JavaScript's eval() stays forbidden to all."""

    def scripts_of(address: str) -> str:
        response = owner.get(address)
        read(response)
        policy = response.headers["Content-Security-Policy"]
        return next(part for part in policy.split("; ") if part.startswith("script-src "))

    for address in ("/editor", "/static/imaging/engine/worker.js"):
        assert scripts_of(address) == "script-src 'self' 'wasm-unsafe-eval'"
    for address in ("/", "/docs", "/batches", "/static/imaging/brush/worker.js", "/static/vendor/webp_enc_simd.js"):
        assert scripts_of(address) == "script-src 'self'"


def test_a_worker_that_has_not_changed_keeps_its_policy(owner):
    address = "/static/imaging/engine/worker.js"
    first = owner.get(address)
    read(first)
    again = owner.get(address, headers={"If-Modified-Since": first.headers["Last-Modified"]})
    assert again.status_code == 304
    assert again.headers["Content-Security-Policy"] == first.headers["Content-Security-Policy"]


def test_webassembly_is_served_as_what_it_is_and_is_not_loaded_ahead(owner):
    response = owner.get("/static/vendor/webp_enc_simd.wasm")
    assert read(response).startswith(b"\0asm")
    assert response.headers["Content-Type"] == "application/wasm"
    for address in ("/", "/editor"):
        assert "webp_enc" not in text_of(owner.get(address))


@pytest.mark.parametrize("address", ["/", "/editor"])
def test_other_methods_are_refused(owner, address):
    assert owner.post(address).status_code == 405
    assert owner.head(address).status_code == 200


@pytest.mark.parametrize(("address", "limit"), [("/", 5), ("/editor", 6)])
def test_queries(owner, django_assert_max_num_queries, address, limit):
    owner.get(address)
    with django_assert_max_num_queries(limit):
        owner.get(address)


@pytest.mark.parametrize("address", ["/", "/editor"])
def test_every_file_that_a_page_names_exists(owner, address):
    named = re.findall(r'(?:href|src|data-sample)="/static/([^"]+)"', text_of(owner.get(address)))
    assert any(name.endswith(".js") for name in named)
    assert [name for name in named if finders.find(name) is None] == []


def test_every_sample_has_its_files_in_their_sizes():
    for sample in SAMPLES:
        original = opened(f"imaging/samples/{sample.name}.jpg")
        assert original.size == (sample.width, sample.height)
        assert opened(f"imaging/samples/{sample.name}-thumb.webp").size == (144, 96)
        for width in sample.widths:
            before = opened(f"imaging/samples/{sample.name}-{width}.webp")
            after = opened(f"imaging/samples/{sample.name}-no-bg-{width}.webp")
            assert before.size == after.size == (width, round(sample.height * width / sample.width))
            assert after.getchannel("A").getextrema() == (0, 255)


def test_every_picture_of_the_front_page_has_its_size_and_a_text(client):
    pictures = re.findall(r'<img (?!src="/brand/)[^>]+>', text_of(client.get("/")))
    assert len(pictures) > 2 * len(SAMPLES)
    for picture in pictures:
        assert re.search(r' width="\d+" height="\d+"', picture)
        assert " alt=" in picture
        named = re.findall(r"/static/([^\s\",]+)", picture)
        assert named
        assert [name for name in named if finders.find(name) is None] == []


def opened(name: str) -> Image.Image:
    return Image.open(io.BytesIO(Path(str(finders.find(name))).read_bytes()))


@pytest.mark.parametrize("address", ["/", "/editor"])
def test_each_module_that_a_page_needs_is_preloaded(owner, address):
    text = text_of(owner.get(address))
    ahead = re.findall(r'<link rel="modulepreload" href="/static/(imaging/[\w/-]+\.js)"', text)
    (entry,) = re.findall(r'type="module" src="/static/(imaging/[\w-]+\.js)"', text)
    # The editor's entry imports only when the page is painted.
    found = set(imports(entry) or lazy_imports(entry))
    to_read = [*found]
    while to_read:
        needed = set(imports(to_read.pop())) - found
        to_read += needed
        found |= needed
    assert sorted(ahead) == sorted(found)


def imports(module: str) -> list[str]:
    """What it needs before it runs."""
    return named_in(module, r'^import (?:.*? from )?"(\.[\w./-]+\.js)";$')


def lazy_imports(module: str) -> list[str]:
    """What it imports while it runs."""
    return named_in(module, r'\bimport\("(\.[\w./-]+\.js)"\)')


def named_in(module: str, pattern: str) -> list[str]:
    text = Path(str(finders.find(module))).read_text()
    paths = re.findall(pattern, text, re.MULTILINE)
    return [posixpath.normpath(posixpath.join(posixpath.dirname(module), path)) for path in paths]


def test_arabic_reads_from_right_to_left(client):
    assert 'lang="ar" dir="rtl"' in text_of(client.get("/", headers={"Accept-Language": "ar"}))


def test_the_editor_offers_a_model_only_where_there_is_a_choice(owner, settings, monkeypatch):
    monkeypatch.setattr(models, "weights_ready", lambda name: name != "isnet-general-use")
    settings.IMAGING_MODELS = ["u2net", "isnet-general-use"]
    assert 'name="model"' not in text_of(owner.get("/editor"))
    settings.IMAGING_MODELS = ["u2net", "u2netp"]
    offered = re.findall(r'<option value="([^"]*)" data-price="1">(u2[^<]+)<', text_of(owner.get("/editor")))
    assert offered == [("", "u2net (medium speed)"), ("u2netp", "u2netp (fast)")]
