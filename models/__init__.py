"""The shared vocabulary of kinbid and all its arithmetic: no sockets, no clock, no asyncio.

Everything here runs in a plain unit test. Algorithms that need Redis are generators which yield
commands (:mod:`models.commands`); whoever drives them does the talking.
"""

__all__ = [
    "birthdays",
    "buying",
    "caps",
    "catalog",
    "catalog_records",
    "commands",
    "consent_strings",
    "consents",
    "errors",
    "event_base",
    "events",
    "facets",
    "identifiers",
    "identity",
    "interests",
    "keys",
    "newest",
    "notices",
    "person_events",
    "profile",
    "purchases",
    "shop_events",
    "templates",
    "topics",
    "touches",
    "traits",
    "units",
    "value",
    "visits",
]
