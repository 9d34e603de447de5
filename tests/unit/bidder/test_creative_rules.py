"""What kind of banner markup makes, and what a slot does not take."""

import pytest

from bidder.creative_rules import banner_kind, creative_fits
from tests.unit.bidder.support import SEATS, creative


@pytest.mark.parametrize(
    ("html", "kind"),
    [
        ("<a href='x'>y</a>", 2),
        ("", 2),
        ("<SCRIPT src='https://x'></SCRIPT>", 3),
        ("<iframe src='https://x'></iframe>", 4),
        ("<script></script><IFrame>", 4),
        ("a script, in words", 2),
    ],
)
def test_b4_the_kind_of_a_banner_follows_from_its_markup(html: str, kind: int) -> None:
    """B4: 2 is markup, 3 script, 4 a frame (2.6, Banner Ad Types)."""
    assert banner_kind(html) == kind


@pytest.mark.parametrize(
    ("own", "attributes", "kinds", "fits"),
    [
        ((), None, None, True),
        ((13, 16), [1, 2], [3], True),
        ((13, 16), [16], None, False),
        ((), [16], [2], False),
        ((16,), [], [], True),
    ],
)
def test_b4_a_slot_refuses_attributes_and_kinds(
    own: tuple[int, ...], attributes: list[int] | None, kinds: list[int] | None, fits: bool
) -> None:
    """B4: one blocked attribute is enough."""
    assert creative_fits(creative("c", SEATS, attributes=own), attributes, kinds) == fits
