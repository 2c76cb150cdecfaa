"""Failed authentications, by network address: the first ones are free, then failing costs more and more.

Only failures are ever locked out. Identity providers share their addresses with strangers, so whoever
brings a valid credential passes whatever others did from there.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network, ip_address

FREE_FAILURES = 5  # a person who mistypes a token in Okta's form
LONGEST_SECONDS = 300.0
MOST_DOUBLINGS = 9  # 512 s, beyond the longest; 2.0**1024 is an OverflowError, reached in four days of failing
FORGOTTEN_SECONDS = 900.0  # of quiet
MAX_ADDRESSES = 10_000  # about 2 MiB


@dataclass(frozen=True, slots=True)
class Record:
    """What an address did."""

    failures: int = 0
    last_at: float = 0.0  # monotonic seconds
    locked_until: float = 0.0


def fail(record: Record, now: float) -> tuple[Record, float | None]:
    """Count one more failure: (new record, None), or (record, seconds to wait) while locked out. Pure.

    The lock-out doubles from one second with each failure that counted. One within a lock-out does not count, else a
    client with an old token could never get out.
    """
    if now - max(record.last_at, record.locked_until) > FORGOTTEN_SECONDS:
        record = Record()
    if now < record.locked_until:
        return record, record.locked_until - now
    failures = record.failures + 1
    return Record(failures, now, now + _lock_out_seconds(failures)), None


def _lock_out_seconds(failures: int) -> float:
    doublings = failures - FREE_FAILURES
    return 0.0 if doublings < 0 else min(2.0 ** min(doublings, MOST_DOUBLINGS), LONGEST_SECONDS)


def counted_as(address: str) -> str:
    """Whom an address stands for: a host in IPv6 has a /64 to choose from. Pure."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return str(IPv6Network((parsed, 64), strict=False)) if isinstance(parsed, IPv6Address) else address


class Failures:
    """The records of the addresses that failed last, in memory and bounded."""

    def __init__(self, max_addresses: int = MAX_ADDRESSES) -> None:
        self._records: OrderedDict[str, Record] = OrderedDict()  # the longest quiet first
        self._max_addresses = max_addresses

    async def fail(self, address: str, now: float) -> float | None:
        """Count a failure of an address; the seconds it is locked out for, if it is."""
        key = counted_as(address)
        record, wait = fail(self._records.pop(key, Record()), now)
        self._records[key] = record
        if len(self._records) > self._max_addresses:
            self._make_room()
        return wait

    def __len__(self) -> int:
        return len(self._records)

    def _make_room(self) -> None:
        """Forget whoever failed least among the longest quiet: a flood of addresses shall not clear a hot one."""
        oldest = [key for key, _ in zip(self._records, range(16), strict=False)]
        del self._records[min(oldest, key=lambda key: self._records[key].failures)]
