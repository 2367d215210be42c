import io
import shutil
from argparse import BooleanOptionalAction
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from imaging.batches.openapi import OPTIONS
from imaging.core.codecs.checks import ALLOWED_EXTENSIONS, check_image
from imaging.core.geometry import check_sizes
from imaging.core.matting.matte import MatteModel
from imaging.core.options import CutoutOptions, parse_options
from imaging.core.pipeline import BACKGROUND_FIELD, BackgroundImage, Cutout, cut_out
from imaging.core.problems import ImageRefused
from imaging.executor import models, runtime

# The fields of /rmbg that batches take: one more there is one more here. The command downloads nothing.
FIELDS = {name: field for name, field in OPTIONS.items() if name != "bg_image_url"}
KINDS: Mapping[str, type] = {"integer": int, "number": float, "string": str}


class Command(BaseCommand):
    help = (
        "Removes the backgrounds of images on this machine, with the server's model, without a server and without credits."
    )
    # It needs no database and none of the web's settings.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("inputs", nargs="+", type=Path, metavar="IN", help="a file, or a folder")
        parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of the results; folders are kept")
        parser.add_argument("--pattern", default="*", help="which files of a folder (default: all images)")
        parser.add_argument("--no-recursive", action="store_false", dest="recursive", help="leave out folders in a folder")
        parser.add_argument(
            "--overwrite", action="store_true", help="also make results again that are newer than their image"
        )
        group = parser.add_argument_group("options of the result")
        group.add_argument("--bg-image", type=Path, metavar="FILE", help="an image to lay behind every subject")
        for name, field in FIELDS.items():
            flag, text = "--" + name.replace("_", "-"), field["description"].replace("%", "%%")
            if field["type"] == "boolean":
                group.add_argument(flag, dest=f"field_{name}", action=BooleanOptionalAction, default=None, help=text)
            else:
                kind = KINDS[field["type"]]
                group.add_argument(flag, dest=f"field_{name}", type=kind, metavar=kind.__name__.upper(), help=text)

    def handle(self, *args: Any, inputs: list[Path], out: Path, **given: Any) -> None:
        options = _options_of(given)
        behind = _background_of(given["bg_image"])
        jobs = dict(_jobs_of(inputs, out, options.format, pattern=given["pattern"], recursive=given["recursive"]))
        todo = {target: source for target, source in jobs.items() if given["overwrite"] or _is_stale(target, source)}
        reasons: Counter[str] = Counter()
        if todo:
            with runtime.model_for(models.name_of(options.model)) as model:
                # `disable=None`: only where a person watches.
                for target, source in tqdm(todo.items(), unit="image", disable=None):
                    if problem := _make(source, target, options, model, behind):
                        reasons[problem] += 1
                        tqdm.write(f"{source}: {problem}", file=self.stderr)
        failed = reasons.total()
        self.stdout.write(f"{len(todo) - failed} done, {len(jobs) - len(todo)} current already, {failed} failed")
        if failed:
            raise CommandError("\n".join(f"{count} × {problem}" for problem, count in reasons.most_common()))


def _options_of(given: Mapping[str, Any]) -> CutoutOptions:
    values = {name: given.get(f"field_{name}") for name in FIELDS}
    fields = {name: str(value) for name, value in values.items() if value is not None}
    options, problems = parse_options(fields, (BACKGROUND_FIELD,) if given["bg_image"] else ())
    if problems := [*problems, *runtime.find_model_problems(options)]:
        raise CommandError("\n".join(problem.message for problem in problems))
    return options


def _background_of(path: Path | None) -> BackgroundImage | None:
    if path is None:
        return None
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CommandError(str(error)) from error
    header, problems = check_image(io.BytesIO(data), name=path.name, size=len(data))
    if header is None or problems:
        raise CommandError("\n".join(f"{path}: {problem.message}" for problem in problems))
    return BackgroundImage(io.BytesIO(data), header)


def _jobs_of(inputs: list[Path], out: Path, extension: str, *, pattern: str, recursive: bool) -> Iterator[tuple[Path, Path]]:
    """Pairs of result and image. Raises CommandError if there is nothing, or two results would have one name."""
    taken: dict[Path, Path] = {}
    for source, within in _images_of(inputs, out.resolve(), pattern, recursive):
        target = out / within.with_suffix(f".{extension}")
        other = taken.setdefault(target, source)
        if other != source:
            raise CommandError(f"{other} and {source} would both become {target}")
        if target.resolve() == source.resolve():
            raise CommandError(f"The result would replace the image {source}")
        yield target, source
    if not taken:
        raise CommandError("There is no image")


def _images_of(inputs: list[Path], out: Path, pattern: str, recursive: bool) -> Iterator[tuple[Path, Path]]:
    """Images, each with its path within the folder that was named. Results in such a folder are no images."""
    for path in inputs:
        if path.is_file():
            yield path, Path(path.name)
        elif not path.is_dir():
            raise CommandError(f"There is no file or folder {path}")
        else:
            for file in sorted(path.rglob(pattern) if recursive else path.glob(pattern)):
                is_result = out != path.resolve() and file.resolve().is_relative_to(out)
                if file.is_file() and file.suffix[1:].lower() in ALLOWED_EXTENSIONS and not is_result:
                    yield file, file.relative_to(path)


def _is_stale(target: Path, source: Path) -> bool:
    return not target.exists() or target.stat().st_mtime_ns < source.stat().st_mtime_ns


def _make(source: Path, target: Path, options: CutoutOptions, model: MatteModel, behind: BackgroundImage | None) -> str:
    """Cut out one image, as `/rmbg` does. Returns why it could not be, or an empty text."""
    try:
        with source.open("rb") as file:
            header, problems = check_image(file, name=source.name, size=source.stat().st_size)
            problems += check_sizes(header.upright_size, options) if header else []
            if header is None or problems:
                return "; ".join(problem.message for problem in problems)
            file.seek(0)
            cutout = cut_out(
                file, header, options, model,
                background=behind, refine=settings.IMAGING_REFINE, cores=settings.IMAGING_THREADS,
            )  # fmt: skip
            _save(cutout, target)
    except (ImageRefused, OSError) as error:
        return str(error)
    return ""


def _save(cutout: Cutout, target: Path) -> None:
    """A result is complete when it appears."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.part")
    try:
        with cutout.content, partial.open("wb") as file:
            shutil.copyfileobj(cutout.content, file)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
