"""Whose every node is in truth, and the producers' part: hashing identifiers before they leave.

Raw e-mail addresses and phone numbers stay in this world; its events carry nodes alone.
"""

from collections.abc import Iterable, Mapping

from models.errors import InvalidFieldError
from models.identifiers import Namespace, NodeId, Pepper

__all__ = ["Registry"]


class Registry:
    """Makes nodes and remembers their owners.

    Args:
        pepper: under which identifiers are hashed.
    """

    def __init__(self, pepper: Pepper) -> None:
        self._pepper = pepper
        self._made: dict[tuple[Namespace, str], NodeId | None] = {}
        self._owners: dict[NodeId, set[int]] = {}
        self._handed_over: set[NodeId] = set()

    def node(self, namespace: Namespace, value: str, *owners: int) -> NodeId:
        """The node of an identifier, which belongs to these persons besides those told before.

        Raises:
            ValueError: the value has no node.
        """
        node = self.try_node(namespace, value, *owners)
        if node is None:
            raise ValueError(f"the {namespace.name.lower()} {value!r} never links")
        return node

    def try_node(self, namespace: Namespace, value: str, *owners: int) -> NodeId | None:
        """As :meth:`node`, but None for what producers leave out.

        These are placeholders, and values that cannot be an identifier of the namespace.
        """
        key = (namespace, value)
        if key not in self._made:
            try:
                self._made[key] = self._pepper.node(namespace, value)
            except InvalidFieldError:
                self._made[key] = None
        node = self._made[key]
        if node is not None and node not in self._handed_over:
            self._owners.setdefault(node, set()).update(owners)
        return node

    def hand_over(self, node: NodeId, owner: int) -> None:
        """The node is this person's in the end, whoever had it before: a recycled number."""
        self._handed_over.add(node)
        self._owners[node] = {owner}

    def owners(self, seen: Iterable[NodeId]) -> Mapping[NodeId, frozenset[int]]:
        """The true owners of the nodes that were seen.

        Raises:
            KeyError: a node that belongs to nobody.
        """
        return {node: frozenset(self._owners[node]) for node in seen}
