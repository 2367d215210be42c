"""Parts of `rmbg` that a test of the whole cannot reach: a terminal's progress bar, the system's keyring, the throttle."""

import io
import stat
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from rembg_client import Cutout, OutOfCredits, RateLimited
from rembg_client.cli import keys
from rembg_client.cli.plan import Job
from rembg_client.cli.show import BarShow
from rembg_client.cli.work import Report, Summary, Throttle


@pytest.fixture
def config(tmp_path: Path, monkeypatch) -> Path:
    """An empty folder for settings."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path / "rmbg/config.json"


class Keyring:
    """A system's keyring in memory; a locked one refuses everything."""

    def __init__(self, priority: float = 5, *, is_locked: bool = False) -> None:
        self.kept: dict[tuple[str, str], str] = {}
        self.priority, self.is_locked = priority, is_locked

    def get_keyring(self) -> SimpleNamespace:
        return SimpleNamespace(priority=self.priority)

    def set_password(self, service: str, name: str, password: str) -> None:
        if self.is_locked:
            raise RuntimeError("locked")
        self.kept[service, name] = password

    def get_password(self, service: str, name: str) -> str | None:
        if self.is_locked:
            raise RuntimeError("locked")
        return self.kept.get((service, name))

    def delete_password(self, service: str, name: str) -> None:
        del self.kept[service, name]


def test_a_key_goes_into_the_keyring_and_not_to_disk(config, monkeypatch):
    keyring = Keyring()
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    assert keys.save_key("http://one", "s3cret") == "the system's keyring"
    assert "s3cret" not in config.read_text()
    assert (keys.find_key("http://one"), keys.find_key("http://two"), keys.saved_base_url()) == (
        "s3cret",
        None,
        "http://one",
    )
    keys.forget_key("http://one")
    assert keys.find_key("http://one") is None
    keys.forget_key("http://one")


@pytest.mark.parametrize("keyring", [Keyring(priority=0), Keyring(is_locked=True)], ids=["none", "locked"])
def test_without_a_keyring_that_works_a_key_goes_into_a_file_of_its_owner(config, monkeypatch, keyring):
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    assert keys.save_key("http://one", "s3cret") == str(config)
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert keys.find_key("http://one") == "s3cret"
    keys.forget_key("http://one")
    assert "s3cret" not in config.read_text()


def test_a_bar_shows_images_rate_and_credits_and_then_the_sum():
    out = io.StringIO()
    show, summary = BarShow(out), Summary(total=3)
    show.begin(3, 100)
    cutout = Cutout("image/png", 3, 2, credits_charged=1, model="fake", request_id="r-1")
    jobs = [Job(name, Path(name)) for name in ("a.png", "[b].png", "c.png")]
    for report in (
        Report(jobs[0], "done", Path("a.webp"), cutout=cutout),
        Report(jobs[1], "failed", error="too [bold]large"),
    ):
        summary.add(report)
        show.report(report)
    summary.stopped_by = OutOfCredits("no more", code="monthly_limit_reached")
    show.end(summary)
    text = out.getvalue()
    assert "[b].png: too [bold]large" in text
    assert "2/3" in text
    assert "99 credits left" in text
    assert "1 done, 0 current already, 1 failed, 1 left of 3; 1 credit charged" in text
    assert "Stopped: no more" in text


def test_the_throttle_goes_down_and_up_again():
    throttle = Throttle(4)
    slow = RateLimited("slow down", status=429, retry_after=0)
    for _ in range(9):
        throttle.slow_down(slow, 0)
    assert throttle.allowed == 1
    for _ in range(200):
        throttle.succeeded({})
    assert throttle.allowed == 4
    assert throttle.enter()
    throttle.close()
    assert not throttle.enter()


def test_a_used_up_minute_pauses_all():
    throttle = Throttle(4)
    throttle.succeeded({"ratelimit": '"minute";r=3;t=42'})
    assert throttle.delay() == 0
    throttle.succeeded({"ratelimit": '"minute";r=0;t=42'})
    assert 40 < throttle.delay() <= 42
