"""The US Privacy string, version 1: four characters such as ``1YNN``. Deprecated, still sent.

Source: IAB, "U.S. Privacy String v1.0": version, notice given, opted out of sale, LSPA.
"""

import re
from typing import Final

__all__ = ["is_opted_out"]

_FORM: Final = re.compile(r"1[YN-]([YN-])[YN-]", re.IGNORECASE | re.ASCII)


def is_opted_out(text: str) -> bool | None:
    """Whether the third character is an opt-out from sale; None where the string is none."""
    found = _FORM.fullmatch(text)
    return None if found is None else found[1] in "Yy"
