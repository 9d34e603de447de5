"""The US Privacy string, version 1: four characters such as ``1YNN``. Deprecated, still sent.

Source: IAB, "U.S. Privacy String v1.0": version, notice given, opted out of sale, LSPA.
"""

import itertools
from typing import Final

__all__ = ["is_opted_out"]

_LETTERS: Final = "YyNn-"
_OPTED_OUT: Final = {
    f"1{notice}{sale}{lspa}": sale in "Yy"
    for notice, sale, lspa in itertools.product(_LETTERS, repeat=3)
}


def is_opted_out(text: str) -> bool | None:
    """Whether the third character is an opt-out from sale; None where the string is none."""
    return _OPTED_OUT.get(text)
