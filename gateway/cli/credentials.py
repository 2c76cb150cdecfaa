"""Credentials as operators read them: what `token.list` answers, and the page. Pure but for the time zone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gateway.cli.holds import moment_of, objects_of, text_of
from gateway.cli.moments import shown, shown_span

_MEANING = {
    "orphaned": "opens nothing: the settings have no such tenant (any more)",
    "expired": "opens nothing: its time is over",
    "rotated": "opens nothing: it was rotated, and the overlap is over",
    "revoked": "opens nothing, for good",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """One credential; moments in Unix seconds."""

    tenant: str
    name: str
    state: str  # valid, ending, rotated, revoked, expired, orphaned
    is_in_settings: bool
    is_password: bool
    digest_begins: str  # the token's SHA-256; "" of a password
    ends_at: float | None  # None: never
    made_at: float | None
    made_by: str
    replaces: str
    last_used_at: float | None
    last_used_from: str
    ended: str  # rotated, revoked; "" when nobody decided on an end
    ended_at: float | None  # when it was decided
    ended_by: str
    successor: str
    reason: str

    @classmethod
    def of(cls, told: Mapping[str, object]) -> Shown:
        """As an instance tells it; what it does not tell is empty."""
        end = told.get("end")
        ended: Mapping[str, object] = end if isinstance(end, dict) else {}
        return cls(
            tenant=text_of(told, "tenant"),
            name=text_of(told, "name"),
            state=text_of(told, "state"),
            is_in_settings=told.get("is_in_settings") is True,
            is_password=told.get("is_password") is True,
            digest_begins=text_of(told, "digest_begins"),
            ends_at=moment_of(told, "ends_at"),
            made_at=moment_of(told, "made_at"),
            made_by=text_of(told, "made_by"),
            replaces=text_of(told, "replaces"),
            last_used_at=moment_of(told, "last_used_at"),
            last_used_from=text_of(told, "last_used_from"),
            ended=text_of(ended, "kind"),
            ended_at=moment_of(ended, "decided_at"),
            ended_by=text_of(ended, "by"),
            successor=text_of(ended, "successor"),
            reason=text_of(ended, "reason"),
        )


def credentials_of(answer: Mapping[str, object]) -> tuple[Shown, ...]:
    """The credentials of an answer to `token.list`."""
    return tuple(Shown.of(told) for told in objects_of(answer, "credentials"))


def page_of_credentials(credentials: Sequence[Shown], now: float, counts_since: float | None) -> str:
    """One below the other; `now` and `counts_since` (when uses began to be counted) in Unix seconds."""
    if not credentials:
        return "There are no credentials: nobody can call. `scim-gateway token new --tenant NAME` makes one."
    return "\n\n".join("\n".join(_lines_of(one, now, counts_since)) for one in credentials)


def _lines_of(one: Shown, now: float, counts_since: float | None) -> Iterator[str]:
    kind = "password" if one.is_password else "token"
    origin = "of the settings" if one.is_in_settings else "made at run time"
    yield f"{one.name}  tenant {one.tenant}  {one.state.upper()}  ({kind} {origin})"
    if one.state in _MEANING:
        yield f"  NOTE      {_MEANING[one.state]}"
    yield f"  ends      {_end(one, now)}"
    yield f"  last use  {last_use_of(one, now, counts_since)}"
    if one.made_at is not None:
        instead = f", in the place of {one.replaces}" if one.replaces else ""
        yield f"  made      {shown(one.made_at)} by {one.made_by}{instead}"
    if one.ended:
        successor = f"; its successor is {one.successor}" if one.successor else ""
        when = f"{shown(one.ended_at)} " if one.ended_at is not None else ""
        yield f"  {one.ended:<8}  {when}by {one.ended_by}{successor}"
    if one.reason:
        yield f"  reason    {one.reason}"


def _end(one: Shown, now: float) -> str:
    if one.ends_at is None:
        return "never"
    past = one.ends_at <= now
    span = shown_span(now - one.ends_at if past else one.ends_at - now)
    return f"{shown(one.ends_at)} ({f'{span} ago' if past else f'in {span}'})"


def last_use_of(one: Shown, now: float, counts_since: float | None) -> str:
    """When and from where; a use before uses were counted is not known, and so not denied."""
    if one.last_used_at is not None:
        return f"{shown(one.last_used_at)} ({shown_span(now - one.last_used_at)} ago) from {one.last_used_from}"
    if counts_since is None or (one.made_at is not None and one.made_at >= counts_since):
        return "never"
    return f"not since {shown(counts_since)}, when this gateway began to count"
