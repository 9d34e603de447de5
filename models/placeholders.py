"""Values that many people share because nobody filled them in; they never become a node.

One poison value in an event is enough to make everybody who ever carried it one person. So these
rules prefer to lose an identifier that somebody may really have over joining strangers.
"""

import hashlib
import re
from collections.abc import Iterable
from typing import Final

__all__ = ["NO_ADDRESS", "WORDS", "is_placeholder", "is_shared_mailbox"]

WORDS: Final = frozenset(
    {
        # absent, as programming languages, databases and spreadsheets write it
        "", "null", "none", "nil", "nan", "undefined", "void", "n/a", "na", "#n/a", "\\n", "0",
        "0.0", "-1", "true", "false", "inf", "infinity", "object object", "error", "invalid",
        # absent, as people and products write it
        "unknown", "empty", "blank", "missing", "default", "not set", "not_set", "notset",
        "not available", "not provided", "not_provided", "unavailable", "anonymous", "anon",
        "guest", "nobody", "noname", "test", "testing", "tester", "example", "sample", "demo",
        "dummy", "fake", "xxx", "asdf", "qwerty", "unbekannt", "inconnu", "desconocido",
        "sconosciuto", "нет", "н/д", "#н/д", "неизвестно", "неизвестен", "не указан", "не указано",
        "не задано", "отсутствует", "пусто", "аноним", "гость", "тест",
        # withheld
        "optout", "opt-out", "opt_out", "opted_out", "opted-out", "deleted", "removed", "redacted",
        "hidden", "masked", "private", "blocked", "restricted", "no_consent",
        # the field's name instead of its value
        "id", "uid", "userid", "user_id", "user-id", "buyeruid", "deviceid", "device_id",
        "device-id", "ifa", "idfa", "gaid", "aaid", "cookie", "string", "value",
        # ids that documentation, emulators and operating systems hand to everybody
        "38400000-8cf0-11bd-b23e-10b96e40000d",  # Android's guide to the advertising id
        "6d92078a-8246-4ba4-ae5b-76104861e7dc",  # guides to Apple's
        "12345678-1234-1234-1234-123456789012", "12345678-1234-1234-1234-123456789abc",
        "01234567-89ab-cdef-0123-456789abcdef", "deadbeef-dead-beef-dead-beefdeadbeef",
        "00000000-0000-0000-0000-000000000001",  # what a program counts from
        "9774d56d682e549c",  # ANDROID_ID of emulators and of a whole series of phones
        "02:00:00:00:00:00",  # the MAC address that Android and iOS tell instead of the real one
        # typed along a keyboard
        "12345678", "123456789", "1234567890", "01234567", "0123456789", "87654321", "987654321",
        "9876543210", "0987654321", "1234567890abcdef", "0123456789abcdef",
    }
)  # fmt: skip
"""In lower case, without quotes or brackets around them."""

NO_ADDRESS: Final = frozenset(
    {
        "a@a.com", "a@b.com", "abc@abc.com", "mail@mail.com", "mail@mail.ru", "email@email.com",
        "name@domain.com", "email@domain.com", "user@domain.com", "your@email.com",
        "yourname@email.com", "you@email.com", "me@me.com", "john.doe@example.com",
        "jane.doe@example.com", "john@doe.com", "user@example.com", "name@example.com",
        "email@example.com", "mail@example.com",
    }
)  # fmt: skip
"""Addresses that forms show as an example and people type to get past them."""

MAILBOXES: Final = frozenset(
    {
        # RFC 2142, and what else is a desk and no person
        "abuse", "admin", "administrator", "billing", "contact", "help", "helpdesk", "hostmaster",
        "info", "marketing", "news", "newsletter", "noc", "office", "postmaster", "root", "sales",
        "security", "service", "support", "usenet", "webmaster",
        # machines
        "bounce", "bounces", "daemon", "donotreply", "do-not-reply", "do_not_reply",
        "mailer-daemon", "no-reply", "no_reply", "no.reply", "noemail", "no-email", "nomail",
        "noreply", "notification", "notifications",
        # fillers
        "client", "customer", "no", "nope", "nouser", "test1", "test2", "test123", "user",
    }
)  # fmt: skip
"""The part before the @ of addresses that no single person reads."""

ROWS: Final = (
    "1234567890", "0123456789", "qwertyuiop", "asdfghjkl", "zxcvbnm", "qazwsxedc", "1q2w3e4r5t",
)  # fmt: skip
"""Keys in the order in which fingers run over them to fill a field."""

_TYPED: Final = ("1", "111", "123", "1234", "12345", "123456", "asd", "no", "none", "qwe", "qwerty",
                 "test")  # fmt: skip
_REPEATED: Final = (*_TYPED, "a", "aa", "aaa", "abc", "email", "mail", "q", "user", "xxx", "zxc")
_FILLED: Final = frozenset(
    {
        *(f"{local}@{domain}" for local in _TYPED for domain in ("gmail.com", "mail.ru")),
        *(f"{one}@{one}.{top}" for one in _REPEATED for top in ("com", "net", "org", "ru")),
    }
)
"""The most frequent of the addresses that rules refuse, to know them where a digest comes."""

SAME: Final = 8
"""So many times the same letter is nobody's id."""
UUID_DIGITS: Final = 32
FILLED_DIGITS: Final = 28
"""So many digits of a UUID are alike in one that was counted or typed, not drawn.

Of random ones 1e-28 are like that: 16 * C(32, 4) * 15**4 / 16**32.
"""
QUOTES: Final = "\"'`()[]{}<> "
_ALL_ONE: Final = rf"[^a-z0-9]*([a-z0-9])(?:[^a-z0-9]*\1){{{SAME - 1},}}[^a-z0-9]*"
_NOTHING: Final = r"[\W_]*"
_ADDRESS: Final = (
    r"\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?"  # IPv4, with a port
    r"|(?=[0-9a-f.:]*::)[0-9a-f.:]+|(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}"  # IPv6
)
_MACRO: Final = (
    r"[$#%@]?\{(?=.*[g-z_])[^-]*\}|\$\(.*\)|\$[a-z_]+|\[.*\]|<.*>|%%.*|__\w+__|@@\w+@@"
    r"|[$#%@]?\{\{.*|\$\{.*|%(?:24)?%?7b.*|%5b.*%5d"
)
_SHAPES: Final = re.compile("|".join((_NOTHING, _ALL_ONE, _ADDRESS, _MACRO)), re.DOTALL)


def _digests(texts: Iterable[str]) -> frozenset[str]:
    """The hexadecimal MD5, SHA-1 and SHA-256 of each text."""
    return frozenset(
        hashlib.new(name, text.encode(), usedforsecurity=False).hexdigest()
        for text in texts
        for name in ("md5", "sha1", "sha256")
    )


_SHARED: Final = (
    WORDS
    | _digests(WORDS)
    | _digests(word.upper() for word in WORDS)
    | _digests(NO_ADDRESS | _FILLED)
    | _digests({" ", "NaN", "None", "[object Object]", "test@test.com", "test@example.com"})
)


def is_placeholder(text: str) -> bool:
    """Whether the text stands for nobody, or for everybody.

    Words such as ``null``; eight or more times one letter or digit (a zero UUID, say), zeros alone;
    a UUID of one digit but for four at most (``00000000-0000-0000-0000-0000000000ff``);
    macros that nobody expanded (``${IFA}``, ``%%IFA%%``, ``{{ifa}}``, ``[IFA]``, ``__IFA__``); IP
    addresses, which a household or an operator's customers share; and the MD5, SHA-1 or SHA-256
    of such words.
    """
    lowered = text.lower()
    bare = lowered.replace("-", "")
    # Most ids are alphanumeric, UUIDs among them, and then only two of the rules apply. Of ASCII,
    # bytes tell that in a fifth of the time that a string takes.
    if not (bare.encode().isalnum() if bare.isascii() else bare.isalnum()):
        return lowered.strip(QUOTES) in _SHARED or _SHAPES.fullmatch(lowered) is not None
    if lowered in _SHARED or bare in _SHARED:
        return True
    alike = bare.count(bare[0])
    if len(bare) == UUID_DIGITS:
        return alike >= FILLED_DIGITS or bare.count("0") >= FILLED_DIGITS
    return alike == len(bare) and (alike >= SAME or bare[0] == "0")


def is_shared_mailbox(address: str) -> bool:
    """Whether nobody or more than one person reads the address, which is in its normal form.

    A part before the @ that is the domain's name again is a company's desk or typed to get past a
    form (``qwe@qwe.ru``); whoever has a domain of their own name and that address is lost with it.
    Digits are refused where they are counted or one digit (``123@``, ``11@``): 007 may be somebody.
    """
    local, _, domain = address.partition("@")
    return (
        address in NO_ADDRESS
        or local in MAILBOXES
        or local == domain.partition(".")[0]
        or _is_typed(local)
        or is_placeholder(local)
    )


def _is_typed(local: str) -> bool:
    shortest = 1 if local.isdigit() else 3  # two letters are initials
    if len(local) < shortest:
        return False
    return len(set(local)) == 1 or any(row.startswith(local) for row in ROWS)
