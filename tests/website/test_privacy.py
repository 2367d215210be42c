"""What pages and documents say about pictures is true for the settings of the deployment."""

import re
from html import unescape

import pytest
from django.conf import settings as settings_of_project
from django.template.defaultfilters import striptags
from django.urls import reverse

from website.documentation import PAGES

pytestmark = pytest.mark.django_db

LOCAL = "worked on by the server that receives it"
WORKER = "worked on by another one, a worker"
REDIS = "through Redis, a store in memory"
STORE = "comes back through an object store (S3)"
FOLDER = "comes back through files in a folder that the servers share"
BATCH_FILES = "its pictures are stored until then, as files on the server"
BATCH_STORE = "its pictures are stored until then, in an object store (S3)"
SENTENCES = {LOCAL, WORKER, REDIS, STORE, FOLDER, BATCH_FILES, BATCH_STORE}
WAYS = [
    ({}, {LOCAL, BATCH_FILES}),
    ({"S3_BUCKET": "pictures"}, {LOCAL, BATCH_STORE}),
    # Where no worker is asked, it does not matter how it would get a picture.
    ({"IMAGING_HANDOVER": "storage"}, {LOCAL, BATCH_FILES}),
    ({"IMAGING_EXECUTOR": "celery"}, {WORKER, REDIS, BATCH_FILES}),
    ({"IMAGING_EXECUTOR": "celery", "S3_BUCKET": "pictures"}, {WORKER, REDIS, BATCH_STORE}),
    ({"IMAGING_EXECUTOR": "celery", "IMAGING_HANDOVER": "storage"}, {WORKER, FOLDER, BATCH_FILES}),
    (
        {"IMAGING_EXECUTOR": "celery", "IMAGING_HANDOVER": "storage", "S3_BUCKET": "pictures"},
        {WORKER, STORE, BATCH_STORE},
    ),
]
NEVER = re.compile(r"never (stored|kept|saved)|nothing is left once|processed in memory", re.IGNORECASE)
ALL_PAGES = ("/", "/privacy", "/terms", "/cookies", "/pricing", "/editor", "/batches", "/status")
DOCUMENTS = ("README.md", "SECURITY.md", "docs", "clients/python/README.md", "clients/rembg.js/README.md")


def text_of(client, path: str) -> str:
    return " ".join(unescape(striptags(client.get(path).content.decode())).split())


@pytest.mark.parametrize(("changes", "said"), WAYS)
def test_the_page_says_where_pictures_are_with_these_settings(client, settings, changes, said):
    for name, value in {"IMAGING_EXECUTOR": "local", "IMAGING_HANDOVER": "redis", "S3_BUCKET": "", **changes}.items():
        setattr(settings, name, value)
    text = text_of(client, "/privacy")
    assert {sentence for sentence in SENTENCES if sentence in text} == said


def test_the_page_says_how_long_results_and_names_are_kept(client, settings):
    settings.BATCH_HOURS, settings.REQUEST_LOG_DAYS = 1, 5
    text = text_of(client, "/privacy")
    assert "kept for 1 hour after the batch was made" in text
    assert "the address of a callback are kept for 5 days" in text


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("REDIS_URL", "redis://127.0.0.1:1/0", "held for ten minutes at most, in Redis"),
        ("REDIS_URL", "", "held for ten minutes at most, in the memory of the server"),
        ("IMAGE_URL_ENABLED", True, "the server fetches it from there"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318", "Traces, with the kind"),
        ("IMPROVE_FOLDER", "/somewhere", "There is one exception"),
    ],
)
def test_what_is_switched_on_is_said(client, settings, setting, value, sentence):
    setattr(settings, setting, value)
    assert sentence in text_of(client, "/privacy")


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("IMAGE_URL_ENABLED", "the server fetches it from there"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "Traces, with the kind"),
        ("IMPROVE_FOLDER", "There is one exception"),
    ],
)
def test_what_is_switched_off_is_not_said(client, settings, setting, sentence):
    setattr(settings, setting, "")
    assert sentence not in text_of(client, "/privacy")


def test_the_front_page_promises_no_more_than_the_operator_keeps(client, settings):
    promise = "Pictures and cutouts are not looked at, and train no model."
    assert promise in text_of(client, "/")
    settings.IMPROVE_FOLDER = "/somewhere"
    assert promise not in text_of(client, "/")


def test_the_terms_name_the_exception_where_images_are_collected(client, settings):
    assert "/v1.0/improve" not in text_of(client, "/terms")
    settings.IMPROVE_FOLDER = "/somewhere"
    assert "Pictures sent to /v1.0/improve are the exception" in text_of(client, "/terms")


@pytest.mark.parametrize("path", [*ALL_PAGES, *(page.url for page in PAGES)])
def test_no_page_says_that_nothing_is_ever_stored(client, user, path):
    client.force_login(user)
    assert not NEVER.search(text_of(client, path))


def test_no_document_says_that_nothing_is_ever_stored(client):
    found = [settings_of_project.BASE_DIR / name for name in DOCUMENTS]
    files = [file for path in found for file in (path.rglob("*.md") if path.is_dir() else [path])]
    assert len(files) > len(DOCUMENTS)
    assert [file.name for file in files if NEVER.search(file.read_text())] == []
    assert not NEVER.search(client.get(reverse("openapi")).content.decode())


def test_pages_that_speak_of_pictures_lead_to_privacy(client):
    for path in ("/", "/docs/rmbg", "/docs/removebg"):
        assert 'href="/privacy#pictures"' in client.get(path).content.decode()
