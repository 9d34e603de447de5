"""The front door: command line, one-machine stack, demo."""

__all__ = ["cli"]
