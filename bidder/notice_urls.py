"""The notice URLs of bids at one exchange, as bytes between which each bid's token stands.

Macros are written as they are, each as a whole query value, since exchanges put text into their
place without encoding it (OpenRTB 2.6 section 4.4). Only macros are used whose source every bid of
ours sets.
"""

import re
from typing import Final
from urllib.parse import quote

import msgspec

from bidder.creatives import AdUrls
from bidder.formats import Links
from models.catalog_records import Exchange
from models.notices import NoticeKind, NoticeSigner

__all__ = ["NoticeUrls", "click_macros"]

_json: Final = msgspec.json.Encoder().encode
HOLE: Final = "{token}"
"""Where the token comes; so no address of ours reads anywhere else."""
_MACRO: Final = re.compile(r"\$\{([A-Z][A-Z0-9_]*(?::[A-Za-z0-9_-]+)?)\}")


def click_macros(target: str) -> list[str]:
    """The names of the exchange's macros in a landing page's address, each once."""
    return list(dict.fromkeys(_MACRO.findall(target)))


class NoticeUrls:
    """How an exchange is told to call us.

    Args:
        exchange: whose macros and which notices.
        public_url: where exchanges reach us.
        signer: signs where clicks go.
    """

    def __init__(self, exchange: Exchange, public_url: str, signer: NoticeSigner) -> None:
        self.exchange = exchange
        self._base = f"{public_url.rstrip('/')}/notice/"
        self._signer = signer
        suffix = exchange.price_macro_suffix
        price = f"&p=${{AUCTION_PRICE{':' if suffix else ''}{suffix}}}"
        priced = f"{price}&c=${{AUCTION_CURRENCY}}"
        # By definition a price is in the bid's currency: only what bills is checked for it.
        won = priced if exchange.bills_on == "nurl" else price
        fields = {
            "nurl": f"{self._address('win')}{HOLE}{won}&m=${{AUCTION_MIN_TO_WIN}}",
            "burl": f"{self._address('billing')}{HOLE}{priced}",
        }
        if exchange.loss_notices:
            lost = "&l=${AUCTION_LOSS}&m=${AUCTION_MIN_TO_WIN}"
            fields["lurl"] = f"{self._address('loss')}{HOLE}{lost}"
        self._between = _json(fields)[1:-1].split(HOLE.encode())
        bills = exchange.bills_on == "pixel"
        self._priced_pixel = priced if bills else ""
        self.ads = AdUrls(
            exchange.id,
            self._behind_click if exchange.click_redirect else None,
            has_pixel=exchange.impression_pixel or bills,
            cid_of=exchange.cid_of,
        )
        """What of this stands in ads."""

    def fields(self, token: bytes) -> bytes:
        """``nurl``, ``burl`` and perhaps ``lurl`` of a bid, without braces.

        Args:
            token: signed.
        """
        return token.join(self._between)

    def links(self, token: str, nonce: str) -> Links:
        """What an ad calls by itself, and where its clicks go first.

        Args:
            token: signed.
            nonce: names the bid.
        """
        impression = f"{self._address('impression')}{token}{self._priced_pixel}"
        click = f"{self._address('click')}{token}" if self.ads.target is not None else ""
        return Links(impression, click, nonce)

    def _address(self, kind: NoticeKind) -> str:
        return f"{self._base}{kind}?t="

    def _behind_click(self, target: str) -> str:
        """What stands behind the token where a click goes through us, to be told the landing page.

        Macros in it come as values of the query, since what is percent-encoded no exchange finds:
        :mod:`bidder.notices.clicks` puts them in.
        """
        values = "".join(f"&m_{name}=${{{name}}}" for name in click_macros(target))
        return f"&s={self._signer.sign_target(target)}&u={quote(target, safe='')}{values}"
