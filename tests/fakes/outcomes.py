"""What notices left in Kafka, for tests in which nothing else is imported."""

from models.outcomes import ImportedImpression, NoticeOutcome, decode_outcome

__all__ = ["decode_notice"]


def decode_notice(payload: bytes) -> NoticeOutcome:
    """Reads a notice's record."""
    outcome = decode_outcome(payload)
    assert not isinstance(outcome, ImportedImpression)
    return outcome
