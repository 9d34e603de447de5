"""Identifiers: typed, normalised and keyed-hashed before they are stored anywhere.

A :data:`NodeId` is one letter for the namespace and 22 characters of a keyed BLAKE2b digest, so a
raw e-mail address or phone number never reaches Kafka's state topics, Redis or a log.
"""

import base64
import enum
import hashlib
import re
from typing import Final, NewType

import phonenumbers

from models.errors import InvalidFieldError, UnknownNameError

__all__ = [
    "Namespace",
    "NodeId",
    "Pepper",
    "is_crm",
    "is_device",
    "namespace_of",
    "parse_identifier",
    "scoped",
]

NodeId = NewType("NodeId", str)
"""A hashed identifier: namespace letter + 22 url-safe characters."""

MAX_VALUE_LENGTH: Final = 512


class Namespace(enum.Enum):
    """The kinds of identifier; the value is the letter that begins a :data:`NodeId`."""

    CRM = "c"
    EMAIL = "e"
    PHONE = "p"
    COOKIE = "k"
    IFA = "i"
    EID = "x"
    EXCHANGE_USER = "u"


_BY_NAME: Final = {space.name.lower(): space for space in Namespace}
_DEVICE_LETTERS: Final = frozenset("kixu")

PLACEHOLDERS: Final = frozenset(
    {"", "0", "null", "none", "nil", "nan", "undefined", "unknown", "n/a", "na", "anonymous",
     "optout", "opt-out", "opted_out", "deleted", "test", "-1", "(null)"}
)  # fmt: skip
"""Values that many people share because nobody filled them in; they never become a node."""

_ALL_SAME: Final = re.compile(r"^([0-9a-fx])\1{7,}$")
_EMAIL: Final = re.compile(r"^[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)+$")
_TEST_PHONE: Final = re.compile(r"^\+1\d{3}55501\d\d$|^\+?(\d)\1{6,}$")


class Pepper:
    """The secret under which identifiers are hashed.

    Args:
        secret: any text of at least eight characters; the same in every process of one owner.
    """

    __slots__ = ("_key",)

    def __init__(self, secret: str) -> None:
        if len(secret) < 8:
            raise InvalidFieldError(
                "identity_pepper", "(hidden)", "a secret of 8 characters or more"
            )
        self._key = hashlib.blake2b(secret.encode(), digest_size=32).digest()

    def node(self, namespace: Namespace, value: str) -> NodeId | None:
        """Normalises and hashes ``value``.

        Returns:
            The node, or None when the value is a placeholder that must never link.

        Raises:
            InvalidFieldError: the value cannot be an identifier of this namespace.
        """
        normal = normalise(namespace, value)
        if normal is None:
            return None
        digest = hashlib.blake2b(normal.encode(), digest_size=16, key=self._key).digest()
        return NodeId(namespace.value + base64.urlsafe_b64encode(digest)[:22].decode())


def scoped(scope: str, value: str) -> str:
    """An id that means something within its scope only: an extended id in its source's, say.

    Whoever makes such a node, event producer or bidder, writes it in this form.
    """
    return f"{scope}|{value}"


def normalise(namespace: Namespace, value: str) -> str | None:
    """The canonical text of an identifier, or None for a placeholder.

    E-mail and advertising ids are lower-cased, phones become E.164; all others are opaque and
    only stripped of surrounding white space.

    Raises:
        InvalidFieldError: too long, or not of the namespace's form.
    """
    text = value.strip()
    if len(text) > MAX_VALUE_LENGTH:
        raise InvalidFieldError(namespace.name.lower(), f"{text[:20]}...", "at most 512 characters")
    lowered = text.lower()
    if lowered in PLACEHOLDERS or _ALL_SAME.match(lowered.replace("-", "").replace(".", "")):
        return None
    if namespace is Namespace.EMAIL:
        return _normal_email(lowered)
    if namespace is Namespace.PHONE:
        return _normal_phone(text)
    return lowered if namespace is Namespace.IFA else text


def _normal_email(lowered: str) -> str | None:
    if not _EMAIL.match(lowered):
        raise InvalidFieldError("email", "(hidden)", "an address such as name@example.com")
    local = lowered.partition("@")[0]
    return None if local in PLACEHOLDERS else lowered


def _normal_phone(text: str, region: str = "US") -> str | None:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        raise InvalidFieldError(
            "phone", "(hidden)", "a phone number such as +1 212 736 5000"
        ) from None
    normal = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if _TEST_PHONE.match(normal):
        return None
    if not phonenumbers.is_possible_number(number):
        raise InvalidFieldError("phone", "(hidden)", "a possible phone number, with country code")
    return normal


def parse_identifier(text: str) -> tuple[Namespace, str]:
    """Reads ``cookie:abc`` as people write it on the command line.

    Raises:
        InvalidFieldError: there is no colon.
        UnknownNameError: the namespace does not exist.
    """
    name, colon, value = text.partition(":")
    if not colon:
        raise InvalidFieldError(
            "identifier", text, "NAMESPACE:VALUE, for example cookie:abc or crm:42"
        )
    namespace = _BY_NAME.get(name.lower())
    if namespace is None:
        raise UnknownNameError("identifier namespace", name, _BY_NAME)
    return namespace, value


def namespace_of(node: NodeId) -> Namespace:
    """The namespace that the node's first letter names."""
    return Namespace(node[0])


def is_crm(node: NodeId) -> bool:
    """Whether the node is a customer id of the CRM: it outranks all others as a root."""
    return node[0] == "c"


def is_device(node: NodeId) -> bool:
    """Whether the node is a browser, device or exchange id, rather than a person's own."""
    return node[0] in _DEVICE_LETTERS
