"""What `status` answers, as one page for a terminal of 80 columns: what is wrong first. Pure but for the time zone."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping

from gateway.cli.holds import moment_of, number_of, objects_of, text_of
from gateway.cli.moments import shown, shown_span

WIDTH = 80
_LABEL = 13  # columns of what a line is about

Told = Mapping[str, object]


def page_of_status(told: Told) -> str:
    """The whole page; what an instance does not tell is left out."""
    now = moment_of(told, "now") or 0.0
    parts = [
        "\n".join(_findings(told)),
        "\n".join(_instance(told, now)),
        *("\n".join(_tenant(told, tenant, now)) for tenant in objects_of(told, "tenants")),
    ]
    return "\n\n".join(parts)


def _findings(told: Told) -> Iterator[str]:
    findings = list(objects_of(told, "findings"))
    if told.get("well") is True and not findings:
        yield "All is well."
    elif not findings:
        yield "The instance does not say how it is: it may be of another version."
    for finding in findings:
        mark = "WRONG" if text_of(finding, "level") == "wrong" else "WATCH"
        yield from _wrapped(mark, text_of(finding, "text"))
        yield from _wrapped("", f"-> {text_of(finding, 'advice')}", behind="   ")


def _instance(told: Told, now: float) -> Iterator[str]:
    name, version = text_of(told, "instance"), text_of(told, "version")
    yield from _wrapped("instance", f"{name}, version {version}, since {_ago(told, 'started_at', now)}")
    yield from _wrapped("settings", f"{text_of(told, 'settings')}, taken {_ago(told, 'settings_since', now)}")
    connections = _count(number_of(told, "connections"), "connection")
    yield from _wrapped("listens", f"{text_of(told, 'listens')} for {text_of(told, 'public_url')}, {connections}")
    yield from _wrapped("admin", text_of(told, "admin"))
    yield from _wrapped("certificate", f"ends {_until(moment_of(_object(told, 'certificate'), 'ends_at'), now)}")
    yield from _audit(_object(told, "audit"), now)
    for feed in objects_of(told, "feeds"):
        changed_at = moment_of(feed, "changed_at")
        age = "" if changed_at is None else f", {shown_span(now - changed_at)} old"
        yield from _wrapped("feed", f"{text_of(feed, 'name')}: {number_of(feed, 'networks')} networks{age}")


def _audit(audit: Told, now: float) -> Iterator[str]:
    last, signed = number_of(audit, "last_line"), number_of(audit, "signed_line")
    yield from _wrapped("audit", f"line {last}, {_ago(audit, 'last_line_at', now)}")
    yield from _wrapped("", f"signed up to line {signed}, {_ago(audit, 'signed_at', now)}")
    for sink in objects_of(audit, "sinks"):
        behind = number_of(sink, "lag_lines")
        yield from _wrapped("", f"{text_of(sink, 'name')}: {f'{behind} lines behind' if behind else 'up to date'}")


def _tenant(told: Told, tenant: Told, now: float) -> Iterator[str]:
    yield f"tenant {text_of(tenant, 'name')} ({text_of(tenant, 'client')})  {text_of(tenant, 'path')}"
    for node in objects_of(tenant, "nodes"):
        yield from _wrapped("  node", _node(node))
    yield from _wrapped("  requests", _requests(tenant, now - (moment_of(told, "answers_since") or now)))
    yield from _wrapped("  guard", _guard(tenant))
    for credential in objects_of(tenant, "credentials"):
        if credential.get("is_in_settings") is not True and text_of(credential, "state") in ("rotated", "revoked"):
            continue  # as it shall be; `token list` has it
        yield from _wrapped("  credential", _credential(credential, now, moment_of(told, "credentials_count_since")))


def _node(node: Told) -> str:
    healthy = node.get("healthy")
    said = "answers" if healthy is True else "not asked yet" if healthy is None else text_of(node, "note")
    primary = " (primary)" if node.get("is_primary") is True else ""
    return f"{text_of(node, 'name')}{primary}  {text_of(node, 'state')}; {said}"


def _requests(tenant: Told, seconds: float) -> str:
    answers = _object(tenant, "answers")
    kinds = [
        f"{number_of(answers, kind)} {said}"
        for kind, said in (
            ("ok", "ok"),
            ("refused", "refused (4xx)"),
            ("later", "told to come later (429)"),
            ("failed", "failed (5xx)"),
        )
        if number_of(answers, kind)
    ]
    return f"{', '.join(kinds) or 'none'} in {shown_span(seconds)}; {number_of(tenant, 'under_way')} under way"


def _guard(tenant: Told) -> str:
    holds = number_of(tenant, "open_holds")
    waiting = f"{_count(holds, 'wave')} held" if holds else "nothing is held"
    return f"{text_of(tenant, 'guard_mode')}; {waiting}"


def _credential(one: Told, now: float, counts_since: float | None) -> str:
    used_at = moment_of(one, "last_used_at")
    if used_at is not None:
        used = f"used {shown_span(now - used_at)} ago"
    else:
        used = "not used" if counts_since is None else f"not used in {shown_span(now - counts_since)}"
    ends_at = moment_of(one, "ends_at")
    ends = "never ends" if ends_at is None else f"ends {_until(ends_at, now)}"
    if text_of(one, "state") not in ("valid", "ending"):
        return f"{text_of(one, 'name')}  {text_of(one, 'state')}"
    return f"{text_of(one, 'name')}  {text_of(one, 'state')}; {ends}; {used}"


def _wrapped(label: str, text: str, behind: str = "") -> Iterator[str]:
    first, further = label.ljust(_LABEL), " " * _LABEL + behind
    yield from textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=further, break_on_hyphens=False)


def _ago(told: Told, key: str, now: float) -> str:
    moment = moment_of(told, key)
    return "not since the start" if moment is None else f"{shown(moment)} ({shown_span(now - moment)} ago)"


def _until(moment: float | None, now: float) -> str:
    if moment is None:
        return "at an unknown time"
    day = shown(moment)[:10]
    return f"{day} (in {shown_span(moment - now)})" if moment > now else f"{day} ({shown_span(now - moment)} ago)"


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"


def _object(told: Told, key: str) -> Told:
    value = told.get(key)
    return value if isinstance(value, dict) else {}
