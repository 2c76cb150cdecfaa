"""Moments and spans of time as an operator types and reads them. Pure but for the local time zone.

Typed: `2027-01-15`, `2027-01-15T09:00`, `2027-01-15T09:00Z` (without a zone: this machine's), `2027-01-15 09:00:00 UTC`
as it is shown, `now`, `today` and `yesterday` (their midnight), or a span such as `90s`, `30m`, `2h`, `7d`, `1w`, which
counts from now.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

_SPAN = re.compile(r"\+?(\d{1,5})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DAYS_AGO = {"today": 0, "yesterday": 1}
_SHOWN = re.compile(r"(\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d)?) ([A-Z]{2,5}|[+-]\d\d(?:\d\d)?)", re.ASCII)
_FORMS = "a time such as 2027-01-15T09:00 or 2027-01-15T09:00Z, or a span such as 30m, 2h or 7d"


def read_span(text: str) -> float:
    """A span in seconds.

    Raises:
        ValueError: it is none; the text says what would be right.
    """
    match = _SPAN.fullmatch(text.strip())
    if not match:
        msg = "must be a span such as 90s, 30m, 2h or 7d"
        raise ValueError(msg)
    return float(int(match[1]) * _SECONDS[match[2]])


def read_future(text: str, now: float) -> float:
    """A moment to come, in Unix seconds.

    Raises:
        ValueError: it is none, or has passed.
    """
    moment = _moment(text, now, direction=1)
    if moment <= now:
        msg = f"{shown(moment)} has passed: must be {_FORMS}, to come"
        raise ValueError(msg)
    return moment


def read_past(text: str, now: float) -> float:
    """A moment that has passed, in Unix seconds.

    Raises:
        ValueError: it is none, or is to come.
    """
    moment = _moment(text, now, direction=-1)
    if moment > now:
        msg = f"{shown(moment)} is to come: must be {_FORMS}, passed"
        raise ValueError(msg)
    return moment


def read_ago(text: str, now: float) -> float:
    """A moment on either side of now, in Unix seconds; a span lies before it.

    Raises:
        ValueError: it is none.
    """
    return _moment(text, now, direction=-1)


def _moment(text: str, now: float, direction: int) -> float:
    text = text.strip()
    if _SPAN.fullmatch(text):
        return now + direction * read_span(text)
    if text == "now":
        return now
    try:
        if text in _DAYS_AGO:
            day = datetime.fromtimestamp(now).astimezone().replace(tzinfo=None) - timedelta(days=_DAYS_AGO[text])
            return day.replace(hour=0, minute=0, second=0, microsecond=0).astimezone().timestamp()
        if zoned := _SHOWN.fullmatch(text):
            return _as_shown(zoned[1], zoned[2])
        return datetime.fromisoformat(text).astimezone().timestamp()
    except (ValueError, OverflowError, OSError):
        msg = f"must be {_FORMS}"
        raise ValueError(msg) from None


def _as_shown(time: str, zone: str) -> float:
    """With the name of a zone, which only this machine's are known by.

    Raises:
        ValueError: it is another one.
    """
    if zone in ("UTC", "GMT"):
        return datetime.fromisoformat(f"{time}+00:00").timestamp()
    for fold in (0, 1):  # an hour that comes twice in autumn has two names
        local = datetime.fromisoformat(time).replace(fold=fold).astimezone()
        if local.tzname() == zone:
            return local.timestamp()
    raise ValueError(zone)


def shown(moment: float) -> str:
    """`2027-01-15 09:00:00 CET`, in this machine's zone."""
    return datetime.fromtimestamp(moment).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def shown_span(seconds: float) -> str:
    """Its two largest units, downwards: `2 d 3 h`, `5 min`, `12 s`; never negative."""
    left = max(0, int(seconds))
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])
