"""Identifiers as people write them on the command line, as nodes."""

from models.errors import InvalidFieldError
from models.evidence import Pair, pair_of
from models.identifiers import NODE_FORM, NodeId, parse_identifier
from runtime.pepper import pepper_of
from runtime.settings import Settings

__all__ = ["node_named", "pair_of_names"]


def node_named(settings: Settings, text: str) -> NodeId:
    """The node of ``cookie:abc``; a node itself, as commands print it, is taken as it is.

    Raises:
        InvalidFieldError: it cannot be read, or is a placeholder that stands for nobody.
        UnknownNameError: the namespace does not exist.
    """
    if NODE_FORM.fullmatch(text):
        return NodeId(text)
    if ":" not in text:
        raise InvalidFieldError(
            "identifier", text,
            "NAMESPACE:VALUE, for example cookie:abc or crm:42, nor a node such as commands print",
        )  # fmt: skip
    node = pepper_of(settings).node(*parse_identifier(text))
    if node is None:
        raise InvalidFieldError("identifier", text, "an identifier: it is a placeholder")
    return node


def pair_of_names(settings: Settings, a: str, b: str) -> Pair:
    """The pair of two identifiers.

    Raises:
        InvalidFieldError: as :func:`node_named`, or both are the same identifier.
        UnknownNameError: as :func:`node_named`.
    """
    one, other = node_named(settings, a), node_named(settings, b)
    if one == other:
        raise InvalidFieldError("identifier", b, f"another identifier than {a!r}: both are {one}")
    return pair_of(one, other)
