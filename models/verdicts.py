"""A person's verdict on a link, as it stands in Redis beside the evidence for it.

It says nothing of the evidence, and evidence nothing of it: whichever of the two comes, goes or
comes again, the other stands. Only an erasure of one of the pair voids both, each by its own time.
"""

from typing import Final

from models.evidence import Verdict

__all__ = ["encode_verdict", "given_ms_of", "verdict_in"]

_VERDICTS: Final[dict[bytes, Verdict]] = {b"approved": "approved", b"rejected": "rejected"}


def encode_verdict(verdict: Verdict, at_ms: int) -> bytes:
    """Text of which the greater is the newer: ``MILLISECONDS@VERDICT``."""
    return b"%013d@%b" % (at_ms, verdict.encode())


def given_ms_of(encoded: bytes) -> int:
    """When a verdict was given, Unix ms."""
    return int(encoded.partition(b"@")[0])


def verdict_in(encoded: bytes | None, erased_ms: int = 0) -> Verdict | None:
    """What was decided; None where nothing was since either of the pair was erased.

    Args:
        encoded: what :func:`encode_verdict` wrote, if anything.
        erased_ms: nothing of the pair counts up to this time, Unix ms.
    """
    if encoded is None or given_ms_of(encoded) <= erased_ms:
        return None
    return _VERDICTS[encoded.partition(b"@")[2]]
