"""`rmbg`, as a person or a script runs it, against the running product."""

import json
import signal
import time
from pathlib import Path

import pytest
from PIL import Image, ImageColor

from tests.clients.python.conftest import CommandLine
from tests.clients.python.fake_server import answering, fake_server, image
from tests.conftest import encoded
from tests.examples import EXHAUSTIVE

PNG = encoded(Image.new("RGB", (40, 30), "orange"))
INVALID = "File does not appear to be a valid image (invalid file signature)"


def fill(folder: Path, *names: str, data: bytes = PNG) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def results(folder: Path) -> list[str]:
    """The files there, without the journal."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name[0] != ".")


def used(product, account) -> int:
    return product.usage(account["key"])["api_usage"]


def test_one_file_and_a_pipe(rmbg, tmp_path):
    fill(tmp_path, "photo.png")
    assert rmbg("remove", "photo.png", "--out", "cutouts", "--w", "20").code == 0
    assert results(tmp_path / "cutouts") == ["photo.webp"]
    assert rmbg("remove", "photo.png", "--out", "one.jpeg", "--bg-color", "white").code == 0
    with Image.open(tmp_path / "one.jpeg") as made:
        assert made.format == "JPEG"
    with rmbg.start("remove", "-", "--format", "png", "--mask") as process:
        piped, said = process.communicate(PNG, timeout=60)
    assert piped.startswith(b"\x89PNG"), said


def test_a_folder_keeps_its_shape_and_is_not_done_twice(rmbg, product, account, tmp_path):
    fill(tmp_path / "in", "a.png", "sub/deep/b.PNG", "sub/c.jpg", ".hidden/d.png", ".e.png")
    fill(tmp_path / "in", "notes.txt", data=b"no image")
    done = rmbg("remove", "in", "--out", "in/cutouts", "--format", "png", "--json")
    assert (done.code, done.summary["done"], done.summary["credits_charged"]) == (0, 3, 3)
    assert results(tmp_path / "in/cutouts") == ["a.png", "sub/c.png", "sub/deep/b.png"]
    again = rmbg("remove", "in", "--out", "in/cutouts", "--format", "png", "--json")
    assert (again.code, again.summary["current"], again.summary["credits_charged"]) == (0, 3, 0)
    # Current is what has neither another image nor other options, and is still there.
    fill(tmp_path / "in", "a.png", data=encoded(Image.new("RGB", (50, 30))))
    (tmp_path / "in/cutouts/sub/c.png").unlink()
    changed = rmbg("remove", "in", "--out", "in/cutouts", "--format", "png", "--json")
    assert (changed.summary["done"], changed.summary["current"]) == (2, 1)
    other = rmbg("remove", "in", "--out", "in/cutouts", "--format", "png", "--w", "9", "--json")
    assert other.summary["done"] == 3
    # c.png was deleted and made again from the same image with the same options, so with the same idempotency key: free.
    assert used(product, account) == 3 + 1 + 3


def test_patterns_names_and_shallow_folders(rmbg, tmp_path):
    fill(tmp_path / "in", "a.png", "b.jpg", "sub/c.jpg")
    assert (
        rmbg("remove", "in", "--out", "one", "--pattern", "*.jpg", "--no-recursive", "--name", "{name}-cut.{ext}").code == 0
    )
    assert results(tmp_path / "one") == ["b.jpg-cut.webp"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["in"], "--out"), (["nowhere", "--out", "o"], "no file or folder nowhere"),
        (["in", "--out", "o"], "would both become"), (["in/a.png", "--out", "in", "--format", "png"], "would replace"),
        (["in/a.png", "--out", "o", "--name", "../{stem}"], "not a file name"),
        (["in/a.png", "--out", "o", "--name", "{nothing}"], "{stem}"),
        (["in/a.png", "--watch", "--out", "o"], "takes folders"),
        (["in/a.png", "--out", "o", "--bg-image", "wall.jpg"], "There is no file wall.jpg"),
        (["in", "--out", "-"], "one image"), (["-", "in/a.png", "--out", "o"], "only input"),
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_done_is_told_before_anything_is_sent(tmp_path, arguments, text):
    fill(tmp_path / "in", "a.png", "a.jpg")
    with fake_server(image) as server:
        refused = CommandLine(tmp_path, server.url, "key")("remove", *arguments)
    assert (refused.code, server.seen) == (2, [])
    assert text in refused.err


def test_unknown_options_and_values_are_refused(rmbg, tmp_path):
    fill(tmp_path, "a.png")
    assert rmbg("remove", "a.png", "--out", "o", "--format", "gif").code == 2
    assert rmbg("remove", "a.png", "--out", "o", "--colour", "red").code == 2
    wrong = rmbg("remove", "a.png", "--out", "o", "--w", "-5", "--angle", "500")
    assert wrong.code == 1
    assert "'w' must be at least 1, got: -5; 'angle' must be between -360 and 360 degrees, got: 500.0" in wrong.err


def test_another_background_is_another_result(rmbg, product, account, tmp_path):
    fill(tmp_path / "in", "a.png")
    command = ("remove", "in", "--out", "o", "--format", "png", "--bg-image", "wall.png")
    for color, done in (("red", 1), ("red", 0), ("blue", 1)):
        wall = encoded(Image.new("RGB", (8, 8), color))
        if not done:
            assert (tmp_path / "wall.png").read_bytes() == wall
        else:
            (tmp_path / "wall.png").write_bytes(wall)
        assert rmbg(*command, "--json").summary["done"] == done
        with Image.open(tmp_path / "o/a.png") as image:
            assert image.convert("RGB").getpixel((0, 0)) == ImageColor.getrgb(color)
    assert used(product, account) == 2


def test_a_dry_run_sends_nothing(tmp_path):
    fill(tmp_path / "in", "a.png", "b.png")
    with fake_server(image) as server:
        planned = CommandLine(tmp_path, server.url, "key")("remove", "in", "--out", "o", "--dry-run", "--json")
    assert server.seen == []
    assert [line["status"] for line in planned.lines[:-1]] == ["planned", "planned"]
    assert planned.summary["left"] == 2
    assert not (tmp_path / "o").exists()


COUNT, BAD = (500, 20) if EXHAUSTIVE else (60, 4)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_many_files_interrupted_and_resumed_are_paid_once(rmbg, product, account, tmp_path, how):
    """Every file ends once: as an output for one credit, or as a reason for none. Also where the first run was killed."""
    fill(tmp_path / "in", *(f"{number:03}.png" for number in range(COUNT)))
    bad = [f"{number:03}.png" for number in range(0, COUNT, COUNT // BAD)]
    fill(tmp_path / "in", *bad, data=b"no image")
    command = ("remove", "in", "--out", "out", "--json")
    process = rmbg.start(*command)
    deadline = time.monotonic() + 120
    while not (tmp_path / "out").exists() or len(results(tmp_path / "out")) < COUNT // 4:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    stopped = rmbg.interrupt(process, how)
    before = len(results(tmp_path / "out"))
    assert COUNT // 4 <= before < COUNT - BAD
    if how == signal.SIGINT:
        assert stopped.code == 130
        assert (stopped.summary["done"], stopped.summary["interrupted"]) == (before, True)
    resumed = rmbg(*command)
    assert resumed.code == 1
    assert resumed.summary["current"] >= before - 8, "at most what was being written was done again"
    good = {f"{number:03}.webp" for number in range(COUNT)} - {name.replace("png", "webp") for name in bad}
    assert results(tmp_path / "out") == sorted(good)
    reasons = {Path(line["source"]).name: line["error"] for line in resumed.lines[:-1] if line["status"] == "failed"}
    assert reasons == dict.fromkeys(bad, INVALID)
    assert used(product, account) == COUNT - BAD
    assert product.call("differences") == []
    for path in (tmp_path / "out").iterdir():
        if path.suffix == ".webp":
            Image.open(path).close()


def test_failures_are_remembered_until_they_are_to_be_tried_again(rmbg, tmp_path):
    fill(tmp_path / "in", "bad.png", data=b"no image")
    first = rmbg("remove", "in", "--out", "o")
    assert (first.code, first.err.count(INVALID)) == (1, 2), "once for the image, once in the sum"
    known = rmbg("remove", "in", "--out", "o", "--json")
    assert (known.code, known.lines[0]["error"], known.lines[0]["request_id"]) == (1, INVALID, None)
    again = rmbg("remove", "in", "--out", "o", "--json", "--retry-failed")
    assert again.lines[0]["request_id"]


def test_forced_work_is_paid_again(rmbg, product, account, tmp_path):
    fill(tmp_path, "a.png")
    for _ in range(2):
        assert rmbg("remove", "a.png", "--out", "o", "--force").code == 0
    assert used(product, account) == 2


def test_a_journal_that_was_cut_off_is_read_as_far_as_it_goes(rmbg, tmp_path):
    fill(tmp_path / "in", "a.png", "b.png")
    assert rmbg("remove", "in", "--out", "o").code == 0
    journal = tmp_path / "o/.rmbg-journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-20] + b"\xff\n[]\n")
    assert rmbg("remove", "in", "--out", "o", "--json").summary["current"] == 2


def test_it_stops_when_the_credits_are_used_up_and_goes_on_later(product, tmp_path):
    account = product.call("open_account", included=3)
    rmbg = CommandLine(tmp_path, product.url, account["key"])
    fill(tmp_path / "in", *(f"{number}.png" for number in range(9)))
    stopped = rmbg("remove", "in", "--out", "o", "--json", "--parallel", "2")
    assert (stopped.code, stopped.summary["done"], stopped.summary["failed"], stopped.summary["left"]) == (3, 3, 0, 6)
    assert stopped.summary["stopped_by"]["code"] == "monthly_limit_reached"
    assert "goes on" in rmbg("remove", "in", "--out", "o").err


def test_more_in_parallel_than_the_plan_allows_still_arrive(product, tmp_path):
    account = product.call("open_account", included=100, at_once=1)
    rmbg = CommandLine(tmp_path, product.url, account["key"])
    fill(tmp_path / "in", *(f"{number}.png" for number in range(6)))
    done = rmbg("remove", "in", "--out", "o", "--json", "--parallel", "4")
    assert (done.code, done.summary["done"], done.summary["failed"]) == (0, 6, 0)


def test_usage_and_login(product, account, tmp_path):
    rmbg = CommandLine(tmp_path, product.url, None)
    assert rmbg("login", given=b"wrong\n").code == 3
    assert rmbg("login", given=b"\n").code == 2
    assert not (tmp_path / "config").exists()
    done = rmbg("login", given=account["key"].encode() + b"\n")
    assert done.code == 0, done.err
    assert account["key"] not in done.out + done.err
    file = tmp_path / "config/rmbg/config.json"
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    del rmbg.environment["REMBG_BASE_URL"]
    assert json.loads(rmbg("usage", "--json").out)["remaining"] == 1000
    assert "credits left      1000" in rmbg("usage").out
    file.chmod(0o644)
    assert "chmod 600" in rmbg("usage").err
    file.chmod(0o600)
    assert rmbg("logout").code == 0
    assert account["key"] not in file.read_text()
    assert rmbg("usage").code == 3


def test_a_key_of_one_server_is_never_sent_to_another(product, account, tmp_path):
    rmbg = CommandLine(tmp_path, product.url, None)
    assert rmbg("login", given=account["key"].encode()).code == 0
    with fake_server(answering(401)) as server:
        assert rmbg("usage", "--base-url", server.url).code == 3
    assert "x-api-key" not in server.seen[0].headers


def test_models(tmp_path):
    rows = [{"name": "u2net", "version": "8d10d2f3bb75"}]
    with fake_server(answering(200, {"models": rows})) as server:
        rmbg = CommandLine(tmp_path, server.url, "key")
        assert json.loads(rmbg("models", "--json").out) == rows
        assert rmbg("models").out == "u2net  8d10d2f3bb75\n"


def test_a_watched_folder_gets_what_appears(rmbg, tmp_path):
    fill(tmp_path / "in", "a.png")
    process = rmbg.start("remove", "in", "--out", "o", "--watch")

    def wait_for(count: int) -> None:
        deadline = time.monotonic() + 60
        while not (tmp_path / "o").exists() or len(results(tmp_path / "o")) < count:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)

    wait_for(1)
    fill(tmp_path / "in", "later/b.png")
    wait_for(2)
    ended = rmbg.interrupt(process)
    assert ended.code == 0, ended.err
    assert results(tmp_path / "o") == ["a.webp", "later/b.webp"]


def test_no_server_is_a_failure_of_each_image(tmp_path):
    fill(tmp_path, "a.png")
    rmbg = CommandLine(tmp_path, "http://127.0.0.1:9", "key")
    failed = rmbg("usage")
    assert (failed.code, "could not be reached" in failed.err) == (1, True)
