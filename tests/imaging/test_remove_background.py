"""`manage.py remove_background`: the same cutouts as `/rmbg`, for an operator."""

import io
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from PIL import Image

from imaging.core.options import OPTION_FIELDS
from imaging.management.commands.remove_background import Command
from tests.conftest import encoded

PNG = encoded(Image.new("RGB", (40, 30), "orange"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch, quick_model) -> Path:
    """The working folder, with two images in a folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("in/a.png", "in/sub/b.JPG"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(PNG)
    (tmp_path / "in/notes.txt").write_text("no image")
    return tmp_path


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("remove_background", *arguments, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def results(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_folder_becomes_a_folder_of_results_without_a_database(folder):
    assert run("in", "--out", "out") == "2 done, 0 current already, 0 failed\n"
    assert results(folder / "out") == ["a.webp", "sub/b.webp"]
    with Image.open(folder / "out/a.webp") as image:
        assert (image.format, image.size, image.getpixel((0, 0))[3], image.getpixel((20, 15))[3]) == (
            "WEBP",
            (40, 30),
            0,
            255,
        )


@pytest.mark.django_db
def test_the_bytes_are_those_of_rmbg(folder, client):
    run("in/a.png", "--out", "out", "--format", "png", "--w", "20", "--angle", "30", "--no-expand", "--bg-color", "#f00")
    form = {"format": "png", "w": "20", "angle": "30", "expand": "false", "bg_color": "#f00"}
    answer = client.post("/rmbg", {"image": SimpleUploadedFile("a.png", PNG), **form})
    assert b"".join(answer) == (folder / "out/a.png").read_bytes()


def test_what_is_current_is_left_alone(folder):
    run("in", "--out", "in/out")
    assert run("in", "--out", "in/out") == "0 done, 2 current already, 0 failed\n"
    assert run("in", "--out", "in/out", "--overwrite").startswith("2 done")
    (folder / "in/out/a.webp").unlink()
    assert run("in", "--out", "in/out").startswith("1 done, 1 current")


def test_one_bad_image_stops_no_other(folder):
    (folder / "in/bad.png").write_bytes(b"no image")
    (folder / "in/broken.png").write_bytes(PNG[:-30])
    with pytest.raises(CommandError, match="2 × File does not appear to be a valid image"):
        run("in", "--out", "out")
    assert results(folder / "out") == ["a.webp", "sub/b.webp"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["nowhere", "--out", "out"], "no file or folder nowhere"),
        (["in", "--out", "out", "--pattern", "*.bmp"], "no image"),
        (["in", "--out", "out", "--w", "-5", "--angle", "500"], "'w' must be at least 1, got: -5\n'angle' must be between"),
        (["in/a.png", "--out", "in", "--format", "png"], "would replace"),
        (["in/a.png", "in/sub/a.png", "--out", "out"], "would both become"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_told(folder, arguments, text):
    (folder / "in/sub/a.png").write_bytes(PNG)
    with pytest.raises(CommandError) as raised:
        run(*arguments)
    assert text in str(raised.value)
    assert not (folder / "out").exists()


def test_only_the_named_files_of_one_folder(folder):
    (folder / "in/c.jpeg").write_bytes(PNG)
    run("in", "--out", "out", "--no-recursive", "--pattern", "c*")
    assert results(folder / "out") == ["c.webp"]


def test_an_image_behind_the_subject(folder):
    (folder / "behind.png").write_bytes(encoded(Image.new("RGB", (4, 3), "blue")))
    run("in/a.png", "--out", "out", "--format", "png", "--bg-image", "behind.png")
    with Image.open(folder / "out/a.png") as image:
        assert (image.mode, image.getpixel((0, 0))) == ("RGB", (0, 0, 255))
    with pytest.raises(CommandError, match=r"notes\.txt"):
        run("in/a.png", "--out", "out", "--bg-image", "in/notes.txt")


def test_it_has_every_option_of_batches():
    parser = Command().create_parser("manage.py", "remove_background")
    flags = {
        name.removeprefix("field_") for name in vars(parser.parse_args(["in", "--out", "out"])) if name.startswith("field_")
    }
    assert flags | {"bg_image_url"} == set(OPTION_FIELDS)
