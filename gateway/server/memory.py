"""Where glibc puts the large buffers of connections: apart, so that their unused pages cost nothing.

A TLS connection of uvloop holds a buffer of 256 KiB for as long as it lives, and uses a page or two of it. On the
heap it would lie on pages that earlier, short-lived buffers of the same size have used: 55 KiB a connection instead
of 35. Those short-lived ones, one a read, belong onto the heap: to map and unmap each would cost a tenth of a request.
"""

from __future__ import annotations

import asyncio
import ctypes
from contextlib import suppress

_M_MMAP_THRESHOLD = -3  # of malloc.h
_APART_BYTES = 128 << 10
_TOGETHER_BYTES = 1 << 20


def map_next_buffers_apart() -> None:
    """For what is allocated in this turn of the event loop; from the next one on, the heap is used again."""
    _set_threshold(_APART_BYTES)
    asyncio.get_running_loop().call_soon(_set_threshold, _TOGETHER_BYTES)


def _set_threshold(size_bytes: int) -> None:
    if _mallopt is not None:
        _mallopt(_M_MMAP_THRESHOLD, size_bytes)


_mallopt = None
with suppress(OSError, AttributeError):  # another C library than glibc
    _mallopt = ctypes.CDLL(None).mallopt
