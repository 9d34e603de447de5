"""Identifiers: typed, normalised and keyed-hashed before they are stored anywhere.

A raw e-mail address or phone number never reaches Kafka's state topics, Redis or a log: only its
:data:`NodeId` does. ``docs/identifiers.md`` lists what is understood, and what never links.
"""

import functools
import hashlib
from binascii import b2a_base64
from collections.abc import Callable, Iterable
from typing import Final

from models.errors import InvalidFieldError, UnknownNameError
from models.namespaces import (
    HOLDERS,
    NODE_FORM,
    TRUST,
    Holder,
    Namespace,
    NodeId,
    holder_of,
    is_account,
    is_crm,
    is_device,
    is_phone,
    is_visitor,
    namespace_of,
)
from models.normalise import PERSON_BASED, email_digest, normalise
from models.phones import DEFAULT_REGION, check_region
from models.placeholders import is_placeholder

__all__ = [
    "BETWEEN_SECRETS",
    "HOLDERS",
    "NODE_FORM",
    "SHORTEST_SECRET",
    "TRUST",
    "Holder",
    "Namespace",
    "NodeId",
    "Pepper",
    "eid",
    "email_digest",
    "holder_of",
    "is_account",
    "is_crm",
    "is_device",
    "is_phone",
    "is_visitor",
    "namespace_of",
    "normalise",
    "parse_identifier",
    "rehash",
    "scoped",
]

SHORTEST_SECRET: Final = 8
BETWEEN_SECRETS: Final = ","
KEPT_SOURCES: Final = 256
"""Of extended ids, 0.5 kB each."""
LONGEST_PLAIN: Final = 200
"""Characters of a source, and of an id: together they are no longer than an identifier may be."""
SOME_UID: Final = "some-uid"
_EID: Final = Namespace.EID
_PERSON_EID: Final = Namespace.PERSON_EID


class Pepper:
    """The secrets under which identifiers are hashed.

    Secrets nest: with a second one, a node is the hash of the node that the first gave. So when a
    secret is rotated, :func:`rehash` turns a stored node into the new one and nobody needs the raw
    identifiers, which nobody has.

    Args:
        secrets: oldest first; each of eight characters or more, without a comma. The same in
            every process of one owner.
        phone_region: ISO 3166 country whose national spelling of phone numbers is understood.
        placeholders: further identifiers that never link, as :func:`parse_identifier` reads them:
            the owner's own phone numbers and mailboxes, for instance.

    Raises:
        InvalidFieldError: a secret, the region or a placeholder cannot be used.
    """

    __slots__ = ("_begun", "_has_more", "_later", "_never", "_of_source", "_phone_region")

    def __init__(
        self,
        *secrets: str,
        phone_region: str = DEFAULT_REGION,
        placeholders: Iterable[str] = (),
    ) -> None:
        if not secrets:
            raise InvalidFieldError("identity_pepper", "", "one secret or more")
        first, *later = map(_hasher, secrets)
        self._begun = {one.letter: _begun(first, one.letter) for one in Namespace}
        self._later = tuple(later)
        self._of_source = functools.lru_cache(KEPT_SOURCES)(self._begun_of)
        self._phone_region = check_region(phone_region)
        self._never: frozenset[NodeId | None] = frozenset()
        self._has_more = bool(later)
        self._never = frozenset([self.node(*parse_identifier(text)) for text in placeholders])
        self._has_more = bool(later or self._never)

    def node(self, namespace: Namespace, value: str) -> NodeId | None:
        """Normalises and hashes ``value``.

        Returns:
            The node, or None when the value is a placeholder that must never link.

        Raises:
            InvalidFieldError: the value cannot be an identifier of this namespace.
        """
        normal = normalise(namespace, value, self._phone_region)
        if normal is None:
            return None
        letter = namespace.letter
        node = _hashed(letter, self._begun[letter], normal)
        return self._under_all(node) if self._has_more else node

    def eid_node(self, source: str, uid: str, atype: int | None = None) -> NodeId | None:
        """``node(*eid(source, uid, atype))`` in two thirds of the time.

        There are few sources, so what comes before the id is normalised and taken in once for each.
        """
        if len(uid) > LONGEST_PLAIN or len(source) > LONGEST_PLAIN:
            return self.node(*eid(source, uid, atype))
        of_source = self._of_source(source, atype)
        if of_source is None:
            return self.node(*eid(source, uid, atype))
        text = uid.strip()
        if is_placeholder(text):
            return None
        letter, begun = of_source
        node = _hashed(letter, begun, text)
        return self._under_all(node) if self._has_more else node

    def _begun_of(self, source: str, atype: int | None) -> "tuple[str, hashlib.blake2b] | None":
        """The letter of a source's ids, and a hasher that has taken in all but the id."""
        namespace, text = eid(source, SOME_UID, atype)
        try:
            normal = normalise(namespace, text)
        except InvalidFieldError:
            return None
        if normal is None:
            return None
        before = normal.removesuffix(SOME_UID)
        return namespace.letter, _begun(self._begun[namespace.letter], before)

    def _under_all(self, node: NodeId) -> NodeId | None:
        """The node under all secrets, of the one under the first; None for a placeholder."""
        for hasher in self._later:
            node = _rehashed(node, hasher)
        return None if node in self._never else node


def rehash(node: NodeId, secret: str) -> NodeId:
    """The node that a stored one becomes when ``secret`` is added to the pepper.

    ``rehash(Pepper("old secret").node(...), "new secret")`` is
    ``Pepper("old secret", "new secret").node(...)``.

    Raises:
        InvalidFieldError: the secret is too short, or not one secret.
    """
    return _rehashed(node, _hasher(secret))


@functools.lru_cache(maxsize=16)
def _hasher(secret: str) -> "hashlib.blake2b":
    text = secret.strip()
    if len(text) < SHORTEST_SECRET or BETWEEN_SECRETS in text:
        raise InvalidFieldError(
            "identity_pepper",
            "(hidden)",
            f"a secret of {SHORTEST_SECRET} characters or more, without a comma",
        )
    key = hashlib.blake2b(text.encode(), digest_size=32).digest()
    return hashlib.blake2b(digest_size=16, key=key)


def _begun(hasher: "hashlib.blake2b", text: str) -> "hashlib.blake2b":
    """A hasher that has taken in a text, a namespace's letter say, and so has done with its key."""
    begun = hasher.copy()
    begun.update(text.encode("utf-8", "surrogatepass"))
    return begun


def _rehashed(node: NodeId, hasher: "hashlib.blake2b") -> NodeId:
    """The node of a node under one more secret.

    The letter is hashed along, so that a cookie and a customer id of one text have digests that
    nobody can match.
    """
    return _hashed(node[0], hasher, node)


def _hashed(letter: str, hasher: "hashlib.blake2b", text: str) -> NodeId:
    """A letter and the url-safe digest of what a hasher has taken in and of a text.

    0.50 us: a hasher that has taken in its key and a letter saves one of two compressions, and
    :mod:`base64` adds a third to what :mod:`binascii` takes; 0.68 without either.
    """
    keyed = hasher.copy()
    try:
        keyed.update(text.encode())
    except UnicodeEncodeError:
        keyed.update(text.encode("utf-8", "surrogatepass"))
    digest = b2a_base64(keyed.digest()).translate(_URL_SAFE, b"=\n").decode()
    return NodeId(letter + digest)


_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")


def scoped(scope: str, value: str) -> str:
    """An id that means something within its scope only: a user id in its exchange's, say.

    Whoever makes such a node, event producer or bidder, writes it in this form.

    Raises:
        InvalidFieldError: the scope is empty or has a bar: two scopes could not be told apart.
    """
    if not scope or "|" in scope:
        raise InvalidFieldError("scope", scope, "a name without a bar, such as the exchange north")
    return f"{scope}|{value}"


def eid(source: str, uid: str, atype: int | None = None) -> tuple[Namespace, str]:
    """An extended id, as :meth:`Pepper.node` takes it.

    The same text from another source is another identifier, and so is the same text under another
    class of agent type: 3 names a person; 1, 2 and none a browser or device; each type of a vendor
    (500 and above) is a class of its own and counts as a device.

    Args:
        source: the domain of who gave the id, ``eids.source`` of OpenRTB 2.6.
        uid: the id, ``eids.uids.id``.
        atype: AdCOM's agent type, ``eids.uids.atype``.
    """
    if "|" in source:
        source = ""  # no domain: refused like a missing one
    if atype == PERSON_BASED:
        return _PERSON_EID, f"{source}|person|{uid}"
    if atype is None or 0 <= atype < PERSON_BASED:
        return _EID, f"{source}|device|{uid}"
    return _EID, f"{source}|{atype}|{uid}"


# -- as people write them --------------------------------------------------------------------------

_Reader = Callable[[str], tuple[Namespace, str]]


def _plain(namespace: Namespace, prefix: str = "") -> _Reader:
    return lambda value: (namespace, prefix + value)


def _read_eid(value: str) -> tuple[Namespace, str]:
    source, _, rest = value.partition("|")
    atype, bar, uid = rest.partition("|")
    if not (source and bar) or not (atype == "" or atype.isdecimal()):
        raise InvalidFieldError(
            "identifier",
            f"eid:{value}",
            "eid:SOURCE|ATYPE|ID, for example eid:ids.example|3|abc; ATYPE may be empty",
        )
    return eid(source, uid, int(atype) if atype else None)


def _read_exchange_user(value: str) -> tuple[Namespace, str]:
    exchange, bar, user = value.partition("|")
    if not (exchange and bar):
        raise InvalidFieldError(
            "identifier",
            f"exchange_user:{value}",
            "exchange_user:EXCHANGE|ID, for example exchange_user:north|7",
        )
    return Namespace.EXCHANGE_USER, scoped(exchange, user)


_READERS: Final[dict[str, _Reader]] = {
    "crm": _plain(Namespace.CRM),
    "email": _plain(Namespace.EMAIL),
    "email_sha256": _plain(Namespace.EMAIL, "sha256:"),
    "email_sha1": _plain(Namespace.EMAIL, "sha1:"),
    "email_md5": _plain(Namespace.EMAIL, "md5:"),
    "loyalty": _plain(Namespace.LOYALTY),
    "phone": _plain(Namespace.PHONE),
    "cookie": _plain(Namespace.COOKIE),
    "ifa": _plain(Namespace.IFA),
    "session": _plain(Namespace.SESSION),
    "eid": _read_eid,
    "exchange_user": _read_exchange_user,
}


def parse_identifier(text: str) -> tuple[Namespace, str]:
    """Reads ``cookie:abc`` as people write it on the command line.

    Also ``email_sha256:DIGITS`` (``email_sha1:``, ``email_md5:``), ``eid:SOURCE|ATYPE|ID`` and
    ``exchange_user:EXCHANGE|ID``.

    Raises:
        InvalidFieldError: there is no colon, or a part is missing.
        UnknownNameError: the namespace does not exist.
    """
    name, colon, value = text.partition(":")
    if not colon:
        raise InvalidFieldError(
            "identifier", text, "NAMESPACE:VALUE, for example cookie:abc or crm:42"
        )
    reader = _READERS.get(name.strip().lower())
    if reader is None:
        raise UnknownNameError("identifier namespace", name, _READERS)
    return reader(value)
