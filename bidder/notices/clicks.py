"""Where a click leads: to the landing page that we signed, with the exchange's values put in."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from bidder.notice_urls import click_macros
from models.notices import NoticeSigner

__all__ = ["landing_page"]

SCHEME: Final = "https://"
URL_CHARACTERS: Final = "%/:?#[]@!$&'()*+,;=~-._{}"
"""What stays as it is in a ``Location``; all else, line ends among it, is percent-encoded."""


def landing_page(values: Mapping[str, str], signer: NoticeSigner) -> str | None:
    """The address to send a click on to; None where it is none that we signed.

    What an exchange put into ``m_NAME`` takes the place of ``${NAME}``, percent-encoded, and only
    behind the host: whoever edits it changes a value of the page's query and never the page.

    Args:
        values: of the query: ``u`` the landing page, ``s`` its signature, ``m_NAME`` macros.
        signer: ours.
    """
    target = values.get("u", "")
    if not target.startswith(SCHEME) or not signer.is_target(target, values.get("s", "")):
        return None
    end = min(_find(target, mark) for mark in "/?#\\")
    host, rest = target[:end], target[end:]
    for name in click_macros(rest):
        value = values.get(f"m_{name}", "")
        is_expanded = not value.startswith("${")
        rest = rest.replace(f"${{{name}}}", quote(value, safe="") if is_expanded else "")
    return quote(host + rest, safe=URL_CHARACTERS)


def _find(target: str, mark: str) -> int:
    """The first such character behind the scheme; the end where there is none."""
    place = target.find(mark, len(SCHEME))
    return len(target) if place < 0 else place
