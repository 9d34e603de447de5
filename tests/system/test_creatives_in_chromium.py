"""Each kind of creative in a real browser: seen, clicked, https only, and hostile values inert.

The page stands for a publisher: it puts a banner into a frame, lays a native answer out by its
assets, and plays a VAST document as a player does. Our own addresses are answered here; that the
bidder answers them likewise is tested elsewhere.
"""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest

from bidder.formats import Links
from models.catalog_records import AudioAd, Creative, Image, MediaFile, NativeAd, Product, VideoAd
from tests.system.chromium import Answer, Browser, Page, find_chromium
from tests.unit.bidder.formats.support import ad, adm_of, fitted
from tests.unit.bidder.support import product

pytestmark = pytest.mark.system

LINKS: Final = Links(
    "https://bid.example/notice/impression?t=tok-en_&p=1.25",
    "https://bid.example/notice/click?t=tok-en_",
    "w1-0",
)
HOSTILE: Final = (
    "<img src=x onerror=alert('pwned')>",
    "\"><script>alert('pwned')</script>",
    "javascript:alert('pwned')",
    "]]></AdTitle><script>alert('pwned')</script>",
    "' onmouseover='alert(1)' http://evil.example/x.js",
    "</script><svg/onload=alert(1)>",
    "Kind of Blue & \u201cmore\u201d \u20ac",
)
GIF: Final = bytes.fromhex(
    "47494638396101000100800000ff00003fc0ff21f90400000000002c00000000010001000002024401003b"
)
HTML: Final = (
    '<a href="{click_url}" target="_blank" title="{title}" style="display:block;'
    "width:{width}px;height:{height}px;background:#1d6f42;color:#fff;font:20px sans-serif;"
    'text-decoration:none"><b id="shown">{title}</b> ${price}</a>'
)

FRAME: Final = """<body style="margin:0"><iframe id="ad" src="https://safe.example/ad"
width="310" height="260" frameborder="0"></iframe>"""

NATIVE_PAGE: Final = """<body style="margin:20px;font:16px sans-serif"><script>
const said = ADM;
const box = document.createElement('a');
box.id = 'ad'; box.href = said.link.url; box.target = '_blank';
box.style = 'display:block;width:400px;border:1px solid #999;padding:10px;color:#111';
for (const asset of said.assets) {
  const kind = asset.title ? 'h2' : asset.img ? 'img' : 'p';
  const part = document.createElement(kind);
  part.dataset.id = asset.id;
  if (asset.img) { part.src = asset.img.url; part.width = 200; part.height = 100; }
  else part.textContent = asset.title ? asset.title.text : asset.data.value;
  box.append(part);
}
document.body.append(box);
for (const one of said.eventtrackers) new Image().src = one.url;
</script>"""

PLAYER_PAGE: Final = """<body style="margin:20px;background:#222"><script>
const xml = new DOMParser().parseFromString(ADM, 'text/xml');
const text = name => xml.querySelector(name).textContent.trim();
const failed = xml.querySelector('parsererror');
const file = [...xml.querySelectorAll('MediaFile')].find(
  one => document.createElement(KIND).canPlayType(one.getAttribute('type')));
const player = document.createElement(KIND);
player.id = 'ad'; player.width = 400; player.height = 225; player.loop = true;
player.src = file.textContent.trim();
player.addEventListener('playing', () => {
  for (const one of xml.querySelectorAll('Impression')) new Image().src = one.textContent.trim();
}, {once: true});
player.addEventListener('click', () => window.open(text('ClickThrough')));
player.controls = KIND === 'audio';
document.body.append(player);
player.play();
</script>"""

FILM: Final = """new Promise(done => {
  const canvas = document.createElement('canvas');
  canvas.width = 320; canvas.height = 180;
  const pen = canvas.getContext('2d');
  const recorder = new MediaRecorder(canvas.captureStream(25), {mimeType: 'video/webm'});
  const parts = [];
  recorder.ondataavailable = event => parts.push(event.data);
  recorder.onstop = async () => {
    const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
    done(Array.from(bytes));
  };
  recorder.start();
  let frame = 0;
  const draw = setInterval(() => {
    pen.fillStyle = `hsl(${frame * 9}, 80%, 45%)`; pen.fillRect(0, 0, 320, 180);
    pen.fillStyle = '#fff'; pen.font = '40px sans-serif'; pen.fillText('kinbid ' + frame, 60, 100);
    if (++frame === 25) { clearInterval(draw); recorder.stop(); }
  }, 40);
})"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = find_chromium()
    if program is None:
        pytest.skip("Chromium is not installed (`make engines` does it)")
    running = Browser(program, tmp_path_factory.mktemp("chromium"))
    yield running
    running.close()


@pytest.fixture(scope="module")
def film(browser: Browser) -> bytes:
    """A second of video, painted and encoded by the browser itself."""
    browser.answer = lambda _: (200, {"Content-Type": "text/html"}, b"<body>")
    page = browser.open("https://studio.example/")
    made = bytes(page.value(FILM))
    page.close()
    assert len(made) > 1_000
    return made


def tone() -> bytes:
    """A second of silence, WAV."""
    samples = b"\x80" * 8_000
    riff = struct.pack("<4sI4s4sI", b"RIFF", 36 + len(samples), b"WAVE", b"fmt ", 16)
    header = riff + struct.pack("<HHIIHH", 1, 1, 8_000, 8_000, 1, 8)
    return header + struct.pack("<4sI", b"data", len(samples)) + samples


class Web:
    """What the browser finds: the publisher's page, the ad's files, our click address."""

    def __init__(self, browser: Browser, page: str, files: dict[str, tuple[str, bytes]]) -> None:
        self._page = page
        self._files = files
        browser.close_tabs()
        browser.answer = self.answer
        browser.requested.clear()
        browser.dialogs.clear()
        self.browser = browser

    def answer(self, url: str) -> Answer:
        parts = urlsplit(url)
        if parts.netloc == "publisher.example":
            return 200, {"Content-Type": "text/html; charset=utf-8"}, self._page.encode()
        if url.startswith(LINKS.click_prefix):
            return 302, {"Location": parse_qs(parts.query)["u"][0]}, b""
        for begin, (kind, body) in self._files.items():
            if url.startswith(begin):
                return 200, {"Content-Type": kind}, body
        if parts.netloc == "bid.example":
            return 200, {"Content-Type": "image/gif"}, GIF
        return 200, {"Content-Type": "text/html; charset=utf-8"}, b"<h1>landing</h1>"

    def show(self) -> Page:
        return self.browser.open("https://publisher.example/")

    def click_through(self, page: Page, x: float, y: float, offer: Product) -> None:
        """Clicks; the browser passes our address and comes to the landing page."""
        page.click(x, y)
        for _ in range(100):
            if any(urlsplit(url).netloc == "shop.example" for url in self.browser.requested):
                break
            self.browser.pump(0.1)
        ours, landing = self.browser.requested[-2:]
        assert ours.startswith(LINKS.click_prefix)
        assert landing.startswith("https://shop.example/item?sku=sku-1&t=")
        assert parse_qs(urlsplit(landing).query)["t"] == [offer.title]

    def check_is_clean(self) -> None:
        """Nothing ran that a feed wrote, and nothing went out in clear."""
        assert self.browser.dialogs == []
        assert self.browser.requested
        for url in self.browser.requested:
            assert url.startswith(("https://", "data:", "blob:")), url
            assert "evil.example" not in urlsplit(url).netloc


def markup_of(creative: Creative, offer: Product, **formats: object) -> str:
    return adm_of(fitted(creative, offer, **formats), offer, redirects=True, links=LINKS)


@pytest.mark.parametrize("title", HOSTILE)
def test_a_banner_shows_its_text_and_clicks_through(
    browser: Browser, title: str, tmp_path: Path
) -> None:
    """F1, B5, C3: the value is text, whatever it holds."""
    offer = product(title=title)
    adm = markup_of(ad(html=HTML, sizes=((300, 250),)), offer, banner={"w": 300, "h": 250})
    document = f"<!doctype html><meta charset=utf-8><body style='margin:0'>{adm}"
    web = Web(browser, FRAME, {"https://safe.example/ad": ("text/html", document.encode())})
    page = web.show()
    # The frame is another site's, as ads are; what it shows is read from a page of its own.
    alone = browser.open("https://safe.example/ad")
    assert alone.value("document.getElementById('shown').textContent") == title
    assert alone.value("document.querySelector('a').title") == title
    box = "document.querySelector('a').getBoundingClientRect()"
    assert [alone.value(f"{box}.{side}") for side in ("width", "height")] == [300, 250]
    alone.close()
    assert page.value("document.getElementById('ad').clientWidth") == 310
    page.screenshot(tmp_path / "banner.png")
    web.click_through(page, 150, 120, offer)
    web.check_is_clean()


@pytest.mark.parametrize("title", HOSTILE)
def test_a_native_ad_shows_its_assets_and_clicks_through(
    browser: Browser, title: str, tmp_path: Path
) -> None:
    """F10, F11, F12, B5."""
    offer = product(title=title)
    native = NativeAd(
        titles=("{title}",),
        images=(Image("https://cdn.example/{item}.gif?t={title}", 1200, 627, "image/gif"),),
        data={"sponsored": ("{advertiser}",), "desc": ("{title} in {group}",)},
    )
    request = {
        "ver": "1.2", "eventtrackers": [{"event": 1, "methods": [1]}],
        "assets": [
            {"id": 1, "required": 1, "title": {"len": 90}}, {"id": 2, "img": {"type": 3}},
            {"id": 3, "data": {"type": 1}}, {"id": 4, "data": {"type": 2}},
        ],
    }  # fmt: skip
    adm = markup_of(ad(native=native), offer, native={"request": json.dumps(request)})
    script_safe = adm.replace("<", "\\u003c").replace("\u2028", "\\u2028")
    files = {"https://cdn.example/": ("image/gif", GIF)}
    web = Web(browser, NATIVE_PAGE.replace("ADM", script_safe), files)
    page = web.show()
    page.until("document.querySelector('img').naturalWidth === 1")
    shown = page.value("[...document.querySelectorAll('h2,p')].map(one => one.textContent)")
    assert shown == [title, "Records & Co", f"{title} in jazz"]
    assert LINKS.impression_url in browser.requested
    page.screenshot(tmp_path / "native.png")
    web.click_through(page, 150, 60, offer)
    web.check_is_clean()


def player(adm: str, kind: str) -> str:
    quoted = json.dumps(adm).replace("<", "\\u003c")
    return PLAYER_PAGE.replace("ADM", quoted).replace("KIND", f"'{kind}'")


@pytest.mark.parametrize("title", HOSTILE)
@pytest.mark.parametrize("protocol", [3, 13])
def test_a_video_plays_tells_us_once_and_clicks_through(
    browser: Browser, film: bytes, title: str, protocol: int, tmp_path: Path
) -> None:
    """F4, F6, B5: a player reads the VAST, plays a file and fetches our impression."""
    offer = product(title=title)
    media = (MediaFile("video/webm", "https://cdn.example/{item}.webm?t={title}", 320, 180, 300),)
    video = VideoAd(title="{title}", duration_seconds=15, media=media)
    slot = {"mimes": ["video/webm"], "protocols": [protocol], "w": 320, "h": 180}
    adm = markup_of(ad(video=video), offer, video=slot)
    web = Web(browser, player(adm, "video"), {"https://cdn.example/": ("video/webm", film)})
    page = web.show()
    page.until("document.getElementById('ad').currentTime > 0.2")
    assert not page.value("failed")
    assert page.value("text('AdTitle')") == title.strip()
    assert page.value("player.videoWidth") == 320
    assert browser.requested.count(LINKS.impression_url) == 1
    page.screenshot(tmp_path / "video.png")
    web.click_through(page, 150, 100, offer)
    web.check_is_clean()


def test_an_audio_ad_is_heard_and_tells_us(browser: Browser) -> None:
    """F13, F6: audio markup for an audio slot."""
    offer = product(title=HOSTILE[1])
    media = (MediaFile("audio/wav", "https://cdn.example/{item}.wav", bitrate_kbps=64),)
    audio = AudioAd(title="{title}", duration_seconds=15, media=media)
    slot: dict[str, Any] = {"mimes": ["audio/wav"], "protocols": [13]}
    adm = markup_of(ad(audio=audio), offer, audio=slot)
    web = Web(browser, player(adm, "audio"), {"https://cdn.example/": ("audio/wav", tone())})
    page = web.show()
    page.until("player.currentTime > 0.1")
    page.until("true")
    assert page.value("text('AdTitle')") == offer.title
    assert browser.requested.count(LINKS.impression_url) == 1
    web.check_is_clean()


def test_a_banner_that_does_not_escape_would_be_caught(browser: Browser) -> None:
    """The checks above can fail: the same markup with a value that is put in as it came."""
    adm = f"<a href='https://shop.example/'>{HOSTILE[0]}</a>"
    web = Web(browser, f"<body>{adm}", {})
    page = web.show()
    for _ in range(50):
        browser.pump(0.05)
    assert browser.dialogs == ["pwned"]
    page.close()
