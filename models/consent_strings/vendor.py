"""What we are in IAB Europe's Global Vendor List, as far as consent depends on it."""

import msgspec

__all__ = ["TcfVendor"]


class TcfVendor(msgspec.Struct, frozen=True):
    """Our entry.

    Attributes:
        id: our vendor id; 0 while we are not registered, which nobody consents to.
        interest_purposes: purposes that we declare on the basis of legitimate interest; all
            others that we rely on need consent.
        flexible_purposes: of which a publisher may change the basis.
        features: that we declare.
    """

    id: int = 0
    interest_purposes: frozenset[int] = frozenset()
    flexible_purposes: frozenset[int] = frozenset()
    features: frozenset[int] = frozenset()
