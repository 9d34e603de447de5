"""The one text of each identifier, whoever wrote it and however.

Two spellings of one identifier have one normal form, a normal form is its own, and what stands for
nobody has none. ``docs/identifiers.md`` lists all of it with examples.
"""

import base64
import binascii
import hashlib
import re
import unicodedata
from collections.abc import Callable
from typing import Final, Literal

import idna

from models.errors import InvalidFieldError
from models.namespaces import Namespace
from models.phones import DEFAULT_REGION, phone_form
from models.placeholders import is_placeholder, is_shared_mailbox

__all__ = ["MAX_LENGTH", "PERSON_BASED", "email_digest", "normalise"]

MAX_LENGTH: Final = 512
"""Characters; longer is no identifier but an attack or a mistake."""

PERSON_BASED: Final = 3
"""The agent type of an extended id that is the same on all devices of a person (AdCOM 1.0)."""

DigestName = Literal["sha256", "sha1", "md5"]

HIDDEN: Final = "(hidden)"
# The hot path compares with these: an enum's member takes ten times as long to look up.
_PHONE: Final = Namespace.PHONE
_PERSON_EID: Final = Namespace.PERSON_EID
_DIGEST_LENGTHS: Final = {"sha256": 64, "sha1": 40, "md5": 32}
_HEX: Final = re.compile(r"[0-9a-f]+")
_LOCAL: Final = re.compile(r"[^@\s\"(),:;<>\[\]\\]{1,64}")
_DOMAIN: Final = re.compile(
    r"(?:(?!-)[a-z0-9-]{1,63}(?<!-)\.)+(?!-)(?=.*[a-z])[a-z0-9-]{2,63}(?<!-)"
)
MAX_ADDRESS: Final = 254
GMAIL: Final = frozenset({"gmail.com", "googlemail.com"})
_UUID: Final = b"hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh"
_HEX_SHOWN: Final = bytes.maketrans(b"0123456789abcdefh", b"h" * 16 + b"?")
"""Makes the shape of a UUID of one: 0.15 us, where a regular expression takes 0.3."""
_IFA_HASHES: Final = re.compile(r"[0-9a-f]{16}|[0-9a-f]{40}|[0-9a-f]{64}")
_AGENT_TYPE: Final = re.compile(r"[1-9][0-9]{0,9}")
_CARD: Final = re.compile(r"[^\W_]{4,32}")


def normalise(namespace: Namespace, value: str, phone_region: str = DEFAULT_REGION) -> str | None:
    """The normal form of an identifier, or None for a placeholder that must never link.

    Args:
        namespace: what kind it is.
        value: as it came; an extended id as :func:`models.identifiers.eid` writes it.
        phone_region: whose national spelling of phone numbers is understood.

    Raises:
        InvalidFieldError: too long, or not of the namespace's form. Its text names the namespace
            and what would be right, and never the value.
    """
    text = value.strip()
    if len(text) > MAX_LENGTH:
        raise _invalid(namespace, f"at most {MAX_LENGTH} characters")
    scopes = _SCOPES.get(namespace.letter)
    if scopes is not None:
        return scopes(namespace, text)
    if is_placeholder(text):
        # The CRM gives out its numbers itself: 11111111 is one of its customers.
        is_issued = namespace is Namespace.CRM and text.isdigit() and text.strip("0") != ""
        return text if is_issued else None
    if namespace is _PHONE:
        return phone_form(text, phone_region)
    form = _FORMS.get(namespace.letter)
    return form(text) if form is not None else text


def _invalid(namespace: Namespace, wanted: str) -> InvalidFieldError:
    return InvalidFieldError(namespace.name.lower(), HIDDEN, wanted)


# -- scoped ids ------------------------------------------------------------------------------------


def _eid_form(namespace: Namespace, text: str) -> str | None:
    source, _, rest = text.partition("|")
    agent, _, uid = rest.partition("|")
    if namespace is _PERSON_EID:
        is_class = agent == "person"
    else:
        is_class = agent == "device" or _AGENT_TYPE.fullmatch(agent) is not None
    if not source or not is_class:
        raise _invalid(namespace, "a source, an agent type and an id, as eid() puts them together")
    uid = uid.strip()
    return None if is_placeholder(uid) else f"{source.strip().lower()}|{agent}|{uid}"


def _exchange_user_form(namespace: Namespace, text: str) -> str | None:
    exchange, bar, user = text.partition("|")
    if not exchange or not bar:
        raise _invalid(namespace, "an exchange and its user, as scoped() puts them together")
    user = user.strip()
    return None if is_placeholder(user) else f"{exchange}|{user}"


def _loyalty_form(namespace: Namespace, text: str) -> str | None:
    programme, bar, number = text.rpartition("|")
    if is_placeholder(number):
        return None
    card = re.sub(r"[\s.-]", "", unicodedata.normalize("NFKC", number)).upper()
    if not _CARD.fullmatch(card) or (bar and not programme.strip()):
        raise _invalid(namespace, "4 to 32 letters and digits, or PROGRAMME|NUMBER")
    if is_placeholder(card):
        return None
    return f"{programme.strip().lower()}|{card}" if bar else card


_SCOPES: Final[dict[str, Callable[[Namespace, str], str | None]]] = {
    Namespace.EID.letter: _eid_form,
    Namespace.PERSON_EID.letter: _eid_form,
    Namespace.EXCHANGE_USER.letter: _exchange_user_form,
    Namespace.LOYALTY.letter: _loyalty_form,
}


# -- advertising ids -------------------------------------------------------------------------------


def _ifa_form(text: str) -> str:
    """A UUID in small letters with dashes; or 16, 40 or 64 hexadecimal digits.

    Those are what televisions send, and hashed ids. 32 digits are a UUID without its dashes.
    """
    lowered = text.lower()
    if lowered.isascii() and lowered.encode().translate(_HEX_SHOWN) == _UUID:
        return lowered
    bare = lowered.removeprefix("urn:uuid:").strip("{}").replace("-", "")
    if not _HEX.fullmatch(bare):
        bare = ""
    if len(bare) == 32:
        return f"{bare[:8]}-{bare[8:12]}-{bare[12:16]}-{bare[16:20]}-{bare[20:]}"
    if not _IFA_HASHES.fullmatch(bare):
        raise _invalid(Namespace.IFA, "a UUID, or 16, 40 or 64 hexadecimal digits")
    return bare


# -- e-mail ----------------------------------------------------------------------------------------


def _email_form(text: str) -> str | None:
    """``sha256:`` and 64 digits, from an address or from its digest.

    Somebody who has the address and somebody who has only its SHA-256 thus mean one node. MD5 and
    SHA-1 cannot be compared with it: they stay nodes of their own.
    """
    kind, colon, digest = text.partition(":")
    if colon and kind.lower() in _DIGEST_LENGTHS:
        return _digest_form(kind.lower(), digest)
    address = _address(text)
    return None if is_shared_mailbox(address) else f"sha256:{_hashed('sha256', address)}"


def email_digest(address: str, name: DigestName = "sha256") -> str | None:
    """What others send instead of an address: ``md5:`` and 32 digits, say.

    Whoever knows an address and expects others to send its MD5 or SHA-1 names both in one event.

    Returns:
        The digest as :func:`normalise` takes it, or None for an address that nobody alone reads.

    Raises:
        InvalidFieldError: not an address.
    """
    normal = _address(address.strip())
    return None if is_shared_mailbox(normal) else f"{name}:{_hashed(name, normal)}"


def _hashed(name: DigestName, address: str) -> str:
    return hashlib.new(name, address.encode(), usedforsecurity=False).hexdigest()


def _digest_form(name: str, digest: str) -> str | None:
    length = _DIGEST_LENGTHS[name]
    text = digest.strip()
    digits = text.lower() if len(text) == length else _hex_of_base64(text)
    if len(digits) != length or not _HEX.fullmatch(digits):
        raise _invalid(Namespace.EMAIL, f"{length} hexadecimal digits after {name}: (or base64)")
    return None if is_placeholder(digits) else f"{name}:{digits}"


def _hex_of_base64(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).hex()
    except binascii.Error:
        return ""


def _address(text: str) -> str:
    """An address as it is hashed: trimmed, in small letters, the domain in ASCII.

    Dots and ``+tags`` mean nothing at gmail.com, and only there (UID2 has the same rule); what is
    sent to googlemail.com arrives there, too.
    """
    lowered = text.lower() if text.isascii() else _plain(text)
    local, _, domain = lowered.partition("@")
    if domain and not domain.isascii():
        domain = _ascii_domain(domain)
    if domain in GMAIL:
        domain = "gmail.com"
        local = local.partition("+")[0].replace(".", "")
    address = f"{local}@{domain}"
    if not (_LOCAL.fullmatch(local) and _DOMAIN.fullmatch(domain) and len(address) <= MAX_ADDRESS):
        raise _invalid(Namespace.EMAIL, "an address such as name@example.com, or sha256:DIGITS")
    return address


def _plain(text: str) -> str:
    """Without invisible characters that were pasted along, compatible forms made one."""
    visible = "".join(char for char in text if unicodedata.category(char) != "Cf")
    lowered = unicodedata.normalize("NFKC", visible).lower()
    return unicodedata.normalize("NFKC", lowered).strip()


def _ascii_domain(domain: str) -> str:
    try:
        return idna.encode(domain, uts46=True).decode()
    except idna.IDNAError:
        return ""


_FORMS: Final[dict[str, Callable[[str], str | None]]] = {
    Namespace.EMAIL.letter: _email_form,
    Namespace.IFA.letter: _ifa_form,
}
