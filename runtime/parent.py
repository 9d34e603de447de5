"""A child that must not outlive its parent, however the parent ended."""

import ctypes
import os
import signal
import sys
from typing import Final

__all__ = ["end_with_parent"]

PR_SET_PDEATHSIG: Final = 1


def end_with_parent(parent_pid: int) -> None:
    """Has the kernel kill this process when its parent dies, kill -9 included.

    Linux only; elsewhere a child whose parent is killed has to be ended by hand.

    Args:
        parent_pid: who the parent is supposed to be; if it is gone already, this exits.
    """
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent_pid:
        sys.exit(0)
