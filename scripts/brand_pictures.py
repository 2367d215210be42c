"""Draws the images that represent the product elsewhere: favicon.ico, apple-touch-icon.png and social.jpg.

Usage: .venv/bin/python scripts/brand_pictures.py CUTOUT, a transparent PNG that `/rmbg` made of imaging's sample image.
The results are committed; run it again only when the brand changes. Needs Chromium.
"""

import base64
import io
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
STATIC = ROOT / "config/static"
PHOTO = ROOT / "imaging/static/imaging/samples/astronaut.jpg"
ICON_SIDES = [16, 32, 48]
TOUCH_SIDE = 180
SOCIAL = (1200, 630)
SOCIAL_PAGE = """
<style>
  body {{ margin: 0; width: 1200px; height: 630px; display: flex; background: #f7f8fa; color: #171a1f;
          font-family: system-ui, "Noto Sans", "DejaVu Sans", sans-serif; overflow: hidden }}
  .words {{ flex: 1; padding: 84px 0 0 76px; box-sizing: border-box }}
  .brand {{ display: flex; gap: 16px; align-items: center; font-size: 30px; font-weight: 700 }}
  h1 {{ margin: 104px 0 26px; font-size: 66px; line-height: 1.1; letter-spacing: -2px }}
  p {{ margin: 0; color: #565e69; font-size: 28px; line-height: 1.4 }}
  .picture {{ position: relative; width: 560px; height: 630px;
              background: repeating-conic-gradient(#dfe3e8 0 25%, #fff 0 50%) 0 0 / 36px 36px }}
  .picture img {{ position: absolute; left: -35px; top: 0; height: 630px; width: 630px; object-fit: cover }}
  .before {{ clip-path: inset(0 50% 0 0) }}
  .line {{ position: absolute; left: 278px; top: 0; width: 4px; height: 630px; background: #3d4fe0 }}
  .grip {{ position: absolute; left: 252px; top: 287px; width: 56px; height: 56px; border-radius: 50%; background: #3d4fe0 }}
  .grip svg {{ display: block; margin: 14px }}
</style>
<div class="words">
  <div class="brand"><img src="{icon}" width="46" height="46">Background removal</div>
  <h1>Pictures<br>without their<br>background</h1>
  <p>In the browser, or by one API call.</p>
</div>
<div class="picture">
  <img src="{after}"><img class="before" src="{before}"><div class="line"></div>
  <div class="grip"><svg width="28" height="28" viewBox="0 0 24 24" fill="none" stroke="#fff" stroke-width="2.4"
    stroke-linecap="round" stroke-linejoin="round"><path d="M8 7l-5 5 5 5M16 7l5 5-5 5"/></svg></div>
</div>
"""


def data_url(path: Path, media_type: str) -> str:
    """A file as a data URL."""
    return f"data:{media_type};base64,{base64.b64encode(path.read_bytes()).decode()}"


def draw(page: Page, html: str, size: tuple[int, int], *, transparent: bool = False) -> Image.Image:
    """A screenshot of the HTML as an image of `size`."""
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.set_content(html)
    return Image.open(io.BytesIO(page.screenshot(omit_background=transparent)))


def icon(page: Page, side: int, *, padding: int = 0, background: str = "transparent") -> Image.Image:
    """The favicon at `side` pixels."""
    inner = side - 2 * padding
    source = data_url(STATIC / "favicon.svg", "image/svg+xml")
    style = f"<style>body{{margin:{padding}px;background:{background}}}img{{display:block}}</style>"
    return draw(page, f'{style}<img src="{source}" width="{inner}" height="{inner}">', (side, side), transparent=True)


def main(cutout: Path) -> None:
    """Write all three."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        icons = [icon(page, side) for side in ICON_SIDES]
        icons[-1].save(STATIC / "favicon.ico", sizes=[(side, side) for side in ICON_SIDES], append_images=icons[:-1])
        touch = icon(page, TOUCH_SIDE, padding=16, background="#ffffff").convert("RGB")
        touch.quantize(64).save(STATIC / "apple-touch-icon.png", optimize=True)
        parts = {
            "icon": data_url(STATIC / "favicon.svg", "image/svg+xml"),
            "before": data_url(PHOTO, "image/jpeg"),
            "after": data_url(cutout, "image/png"),
        }
        social = draw(page, SOCIAL_PAGE.format(**parts), SOCIAL).convert("RGB")
        social.save(STATIC / "social.jpg", quality=72, optimize=True, progressive=True)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
