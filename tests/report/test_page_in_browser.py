"""The page in headless Chromium: no console message, every picture drawn, no sideways scroll at phone width."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from luthier.report.html import write_html
from luthier.report.summary import summarise
from tests.report.made_up import make_study

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PHONE, DESK = 390, 1200
PROBE = """<script>
addEventListener("load", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
  const size = (element) => { const box = element.getBoundingClientRect(); return [box.width, box.height]; };
  parent.postMessage({
    width: innerWidth,
    scroll: document.documentElement.scrollWidth,
    title: document.title,
    svgs: [...document.querySelectorAll("svg")].map(size),
    figures: [...document.querySelectorAll("figure")].map(size),
    text: [...document.querySelectorAll("figure svg text")].map((text) => size(text)[1]),
  }, "*");
});
</script>"""
FRAMES = """<!DOCTYPE html><html><head><link rel="icon" href="data:,"></head><body>
<script>
const heard = [];
addEventListener("message", (event) => {
  heard.push(event.data);
  if (heard.length === 2) document.getElementById("heard").textContent = JSON.stringify(heard);
});
</script>
<pre id="heard"></pre>
<iframe src="probed.html" style="width: %dpx; height: 800px; border: 0"></iframe>
<iframe src="probed.html" style="width: %dpx; height: 800px; border: 0"></iframe>
</body></html>"""

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
    pytest.mark.xdist_group("pages"),  # a page is opened once
]


@pytest.fixture(scope="module", params=[(), (50, 1000)], ids=["one group", "two sizes"])
def browsed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[dict[str, Any]], str]:
    """What the probe in the page says at phone and at desk width, and what the browser logged."""
    folder = tmp_path_factory.mktemp("browser")
    store = make_study(folder / "study", grown=True, sizes=request.param)
    path = folder / "report.html"
    write_html(summarise(store), store, path)
    page = path.read_text(encoding="utf-8")
    (folder / "probed.html").write_text(page.replace("</body>", PROBE + "</body>"), encoding="utf-8")
    (folder / "frames.html").write_text(FRAMES % (PHONE, DESK), encoding="utf-8")
    done = _browse(folder / "frames.html", folder / "profile")
    found = re.search(r'<pre id="heard">(.*?)</pre>', done.stdout, flags=re.DOTALL)
    assert found and found.group(1), done.stderr[-2000:]
    return sorted(json.loads(html.unescape(found.group(1))), key=lambda said: said["width"]), done.stderr


def _browse(page: Path, profile: Path) -> subprocess.CompletedProcess[str]:
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    flags += " --disable-component-update --disable-sync --disable-dev-shm-usage --enable-logging=stderr --dump-dom"
    command = [
        str(CHROMIUM),
        *flags.split(),
        "--virtual-time-budget=10000",
        "--window-size=1700,900",
        f"--user-data-dir={profile}",
        page.as_uri(),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=180, check=True)


def test_the_console_is_silent(browsed: tuple[list[dict[str, Any]], str]) -> None:
    said, log = browsed
    assert [line for line in log.splitlines() if "CONSOLE" in line] == []
    assert said[0]["title"] == "support-desk · Luthier report", "a prediction's script has run"


@pytest.mark.parametrize("at", [0, 1])
def test_every_picture_is_drawn(browsed: tuple[list[dict[str, Any]], str], at: int) -> None:
    said = browsed[0][at]
    assert said["width"] == (PHONE, DESK)[at]
    assert len(said["figures"]) in (9, 2 * 9 + 1), "nine a group, and the learning curve where there are sizes"
    assert all(width > 200 and height > 60 for width, height in said["figures"])
    assert all(width > 5 and height > 5 for width, height in said["svgs"])


@pytest.mark.parametrize("at", [0, 1])
def test_the_page_never_scrolls_sideways(browsed: tuple[list[dict[str, Any]], str], at: int) -> None:
    assert browsed[0][at]["scroll"] <= browsed[0][at]["width"]


def test_the_pictures_text_can_be_read_on_a_phone(browsed: tuple[list[dict[str, Any]], str]) -> None:
    heights = browsed[0][0]["text"]
    assert heights and min(heights) >= 10, "a line of text lower than 10 px is not read"
