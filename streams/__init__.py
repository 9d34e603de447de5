"""Kafka in, persons and profiles out."""

__all__ = ["app"]
