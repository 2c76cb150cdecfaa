"""What answers tell beside what they were asked for: how long they took, what time it is, when to come back."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime

from gateway.doctor.findings import Finding, all_of, fault, ok, skipped, warning
from gateway.doctor.visit import Asked, Visit

_OKTA_ATTEMPTS = 10
_SHORT_WAIT_SECONDS = 60  # doubled nine times it is 8.5 hours, a night's outage
_LATER = (429, 503)
_NOTHING = "nothing was answered"


async def answers_are_quick(visit: Visit) -> Finding:
    """Okta hangs up after 60 s of silence, and a large import takes a hundred answers."""
    limits = visit.limits
    slowest = max(visit.asked, key=lambda asked: asked.seconds, default=None)
    if slowest is None:
        return skipped(_NOTHING)
    seen = f"the slowest of {len(visit.asked)}: {_span(slowest.seconds)} for {slowest.what}"
    whom = "the application itself" if slowest.by_upstream else "the application behind, or what stands between,"
    mend = f"{whom} is slow: look at its log and load; Okta gives up after 60 s"
    if slowest.seconds >= limits.too_slow_seconds:
        return fault(seen, mend)
    return warning(seen, mend) if slowest.seconds >= limits.slow_seconds else ok(seen)


async def clocks_agree(visit: Visit) -> Finding:
    """Ends of credentials and certificates, and every line of the record, go by the clock."""
    if not visit.asked:
        return skipped(_NOTHING)
    return all_of(
        (_clock(visit, asked) for asked in _last_of_each_side(visit)), otherwise="no answer said what time it is"
    )


async def waits_are_whole_seconds(visit: Visit) -> Finding:
    """Okta reads Retry-After as whole seconds; a date, or none, is five minutes to it."""
    if not visit.asked:
        return skipped(_NOTHING)
    later = [asked for asked in visit.asked if asked.reply.status in _LATER and not asked.by_upstream]
    return all_of(map(_wait, later), otherwise="nothing asked to come back later")


def _wait(asked: Asked) -> Finding:
    said = asked.reply.fields.get("retry-after")
    status = f"status {asked.reply.status} for {asked.what}"
    if said is None:
        return fault(
            f"{status} has no Retry-After",
            "let the gateway answer that, not what stands before it: without, Okta waits 5 minutes",
        )
    if not (said.isascii() and said.isdecimal()):
        return fault(
            f"{status} has Retry-After: {said}, which is not whole seconds",
            "let the gateway answer that, not what stands before it: Okta reads no dates, and waits 5 minutes",
        )
    if int(said) < _SHORT_WAIT_SECONDS:
        return warning(
            f"{status} has Retry-After: {said}",
            f"at least {_SHORT_WAIT_SECONDS}: Okta doubles the first one and gives up after {_OKTA_ATTEMPTS} attempts",
        )
    return ok(f"{status} has Retry-After: {said}")


def _last_of_each_side(visit: Visit) -> list[Asked]:
    sides = {asked.by_upstream: asked for asked in visit.asked if "date" in asked.reply.fields}
    return list(sides.values())


def _clock(visit: Visit, asked: Asked) -> Finding:
    whose = "the application's clock" if asked.by_upstream else "the gateway's clock"
    try:
        said = parsedate_to_datetime(asked.reply.fields["date"])
    except ValueError:
        return warning(f"{whose} cannot be read from the field Date", "look at what answers there")
    moment = (said if said.tzinfo else said.replace(tzinfo=UTC)).timestamp()
    skew = moment - asked.at
    seen = f"{whose} is {_span(abs(skew))} {'ahead of' if skew > 0 else 'behind'} this machine's"
    mend = "let all of them follow one time server (timedatectl set-ntp true); which one is wrong, `date -u` tells"
    if abs(skew) > visit.limits.too_skewed_seconds + asked.seconds:
        return fault(seen, mend)
    if abs(skew) > visit.limits.skew_seconds + asked.seconds:
        return warning(seen, mend)
    return ok(f"{whose} agrees with this machine's")


def _span(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s" if seconds < 100 else f"{seconds:,.0f} s"
