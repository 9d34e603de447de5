"""The shared vocabulary of kinbid and all its arithmetic: no sockets, no clock, no asyncio.

Everything here runs in a plain unit test. Algorithms that need Redis are generators which yield
commands (:mod:`models.commands`); whoever drives them does the talking.
"""

__all__ = [
    "caps",
    "catalog",
    "catalog_records",
    "commands",
    "errors",
    "events",
    "facets",
    "identifiers",
    "identity",
    "keys",
    "notices",
    "profile",
    "templates",
    "topics",
    "units",
    "value",
]
