"""kinbid that stops in the middle of a write: ``python -m tests.system.stopping COMMAND ...``.

After SIGUSR1 it stops itself (SIGSTOP) just before it sends Redis the next facets, which it has
worked out from what it read before.
"""

import os
import signal
from types import FrameType
from typing import Any

from kinbid.cli import main
from runtime.redis_link import RedisLink

WRITE = b"HSET"


class _Wish:
    """Whether somebody has asked it to stop."""

    stands = False

    def make(self, _number: int, _frame: FrameType | None) -> None:
        self.stands = True


def stop_on(wish: _Wish) -> None:
    """Has every connection to Redis look for the wish before it writes."""
    flush = RedisLink._flush

    def flush_or_stop(self: Any) -> None:  # noqa: ANN401 - a link
        if wish.stands and any(WRITE in command for command in self._outgoing):
            wish.stands = False
            os.kill(os.getpid(), signal.SIGSTOP)
        flush(self)

    RedisLink._flush = flush_or_stop  # type: ignore[method-assign]


if __name__ == "__main__":
    wish = _Wish()
    signal.signal(signal.SIGUSR1, wish.make)
    stop_on(wish)
    main()
