"""Pure steps of the streams worker: records in, generators or records out."""

__all__ = ["calls", "offers", "persons"]
