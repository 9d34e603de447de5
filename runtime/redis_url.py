"""The link that a Redis URL asks for."""

from typing import Final

from models.errors import InvalidFieldError
from runtime.cluster_map import CLUSTER_SCHEMES
from runtime.link import Link
from runtime.redis_cluster import ClusterLink
from runtime.redis_link import SCHEMES, RedisLink
from runtime.settings import masked

__all__ = ["link_to"]

FORMS: Final = (
    "redis://HOST:PORT/DB, rediss://HOST:PORT/DB, unix:///PATH, redis+cluster://HOST:PORT,HOST:PORT"
    " or rediss+cluster://HOST:PORT,HOST:PORT"
)


def link_to(
    url: str,
    *,
    name: str = "kinbid",
    stall_seconds: float = 5.0,
    patience_seconds: float | None = None,
) -> Link:
    """A link, not connected yet, to one Redis server or to a Redis Cluster.

    Args:
        url: as the setting ``redis_url``.
        name: how its connections call themselves to the servers.
        stall_seconds: a server that leaves a command without a reply for so long is taken for
            lost.
        patience_seconds: while a command has waited for longer than that, its server is sent no
            other; None sends them all.

    Raises:
        InvalidFieldError: the URL is of no form that is known.
    """
    scheme = url.partition("://")[0]
    if scheme in CLUSTER_SCHEMES:
        return ClusterLink(
            url, name=name, stall_seconds=stall_seconds, patience_seconds=patience_seconds
        )
    if scheme in SCHEMES:
        return RedisLink(
            url, name=name, stall_seconds=stall_seconds, patience_seconds=patience_seconds
        )
    raise InvalidFieldError("redis_url", masked("redis_url", url), FORMS)
