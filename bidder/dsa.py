"""What the EU's Digital Services Act asks of bids: on whose behalf, paid by whom, chosen how.

Source: IAB Tech Lab, OpenRTB community extension "DSA Transparency".
"""

from typing import Final

import msgspec

from bidder.openrtb import BidRequest
from bidder.openrtb_context import Dsa
from models.catalog_records import Advertiser, Creative

__all__ = ["dsa_asked", "dsa_refused", "dsa_shown", "dsa_written"]

REQUIRED: Final = (2, 3)
"""Values of ``dsarequired`` under which a bid without the object is thrown away."""
UNREADABLE: Final = 3
"""What is asked for in a way that nobody understands is taken for required."""
CANNOT_RENDER: Final = 0
"""The value of ``pubrender`` under which the ad itself must show it."""

PROFILING: Final = 1
BASIC_ADVERTISING: Final = 2
"""User parameters, by number."""

_json: Final = msgspec.json.Encoder().encode


def dsa_asked(request: BidRequest) -> Dsa | None:
    """What a request asks for; None where it asks for nothing."""
    regs = request.regs
    if regs is None or regs.ext is None or regs.ext.dsa is None:
        return None
    asked = regs.ext.dsa
    if type(asked.dsarequired) is not int or type(asked.pubrender) is not int:
        asked = Dsa(_whole(asked.dsarequired, UNREADABLE), _whole(asked.pubrender, None))
    return asked if asked.dsarequired else None


def _whole(value: object, unreadable: int | None) -> int | None:
    """A number however it is written; ``unreadable`` for what says something, but no number."""
    if value is None or value == "":
        return None
    try:
        return msgspec.convert(int(value) if isinstance(value, bool) else value, int, strict=False)
    except msgspec.ValidationError:
        return unreadable


def dsa_refused(asked: Dsa, advertiser: Advertiser) -> bool:
    """Whether bids would be thrown away, since the advertiser does not say what is required."""
    return asked.dsarequired in REQUIRED and not advertiser.dsa_behalf


def dsa_shown(asked: Dsa, creative: Creative) -> bool:
    """Whether people will be shown what is required: by the publisher, or else by the ad."""
    if asked.dsarequired not in REQUIRED:
        return True
    return asked.pubrender != CANNOT_RENDER or creative.shows_transparency


def dsa_written(
    asked: Dsa, advertiser: Advertiser, creative: Creative, *, is_personal: bool
) -> bytes | None:
    """The bid's ``ext.dsa`` as JSON; None where it is not required and could not be right.

    That is so where the advertiser says nothing, and where neither publisher nor ad would show it:
    exchanges throw such a bid away whatever ``dsarequired`` says.

    Args:
        asked: by the request.
        advertiser: of the bid; not refused.
        creative: of the bid; not refused.
        is_personal: it was chosen by what is known of the person.
    """
    if not advertiser.dsa_behalf:
        return None
    if asked.pubrender == CANNOT_RENDER and not creative.shows_transparency:
        return None
    shows_itself = asked.pubrender == CANNOT_RENDER and creative.shows_transparency
    parameters = [PROFILING, BASIC_ADVERTISING] if is_personal else [BASIC_ADVERTISING]
    return _json(
        {
            "behalf": advertiser.dsa_behalf,
            "paid": advertiser.dsa_paid,
            "transparency": [{"domain": advertiser.domain, "dsaparams": parameters}],
            "adrender": int(shows_itself),
        }
    )
