"""What follows from the settings of the brand."""

import pytest

from lib import brand


@pytest.mark.parametrize(
    ("name", "public_url", "sent"),
    [
        ("Offcut", "", "Offcut"),
        ("Offcut", "https://cutouts.example.com", "Offcut (+https://cutouts.example.com)"),
        ("Möbel & Söhne, Köln", "", "Mobel-Sohne-Koln"),
        ("A/B (test)\r\nX: y", "", "A-B-test-X-y"),
        ("قصاصات", "", "background-removal"),
    ],
)
def test_other_servers_see_the_name_as_one_word_of_ascii(settings, name, public_url, sent):
    settings.SITE_NAME, settings.PUBLIC_URL = name, public_url
    assert brand.user_agent() == sent


def test_our_own_logo_takes_the_colour_of_the_deployment(settings):
    assert b"#3d4fe0" in brand.current().logo.data
    settings.SITE_COLOR = "#0b7a70"
    current = brand.current()
    assert current.logo.data.count(b"#0b7a70") == 1
    assert b"#3d4fe0" not in current.logo.data


def test_the_digest_changes_with_all_that_files_are_made_from(settings, tmp_path):
    seen = {brand.current().digest}
    other = tmp_path / "logo.svg"
    other.write_bytes(brand.DEFAULT_LOGO.read_bytes().replace(b"#fff", b"#eee"))
    for name, value in (("SITE_NAME", "Acme"), ("SITE_COLOR", "#0b7a70"), ("SITE_LOGO", str(other))):
        setattr(settings, name, value)
        seen.add(brand.current().digest)
    settings.SPECTACULAR_SETTINGS = {**settings.SPECTACULAR_SETTINGS, "VERSION": "99"}
    assert len(seen | {brand.current().digest}) == 5
