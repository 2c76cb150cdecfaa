"""What the documents say that can be held against the code: links, commands, settings, blocks of TOML. Pure."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterator

PROGRAM = "scim-gateway"

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_ENDS = re.compile(r"\s+#|[;&|<>)]")  # a shell's comment, or what ends a command
_SECTIONS = r"gateway|listen|admin|metrics|audit|alerts|tenants|sources|limits|guard"
_SETTING = re.compile(rf"(?:{_SECTIONS})(?:\.(?:[a-z0-9_-]+|[A-Z]+|\*))+")
_SHORT = re.compile(r"(?!audit sink NAME|audit checkpoint)(?:audit|guard|token) [a-z]")  # a check, a line of the log
_PATH = re.compile(r"(?:certs|changes|deploy|docs|gateway|grafana|requirements|tests)/[\w./-]*")
_FILES = (".toml", ".py", ".md", ".json", ".jsonl", ".sqlite3", ".sqlite3-wal", ".internal", ".service")


def links_in(page: str) -> list[str]:
    """Where links lead: a page, a page with a heading, or a heading of this one."""
    return _LINK.findall(_without_blocks(page))


def headings_in(page: str) -> set[str]:
    """What a link may name behind `#`, as GitHub and its likes derive it."""
    titles = re.findall(r"^#+ (.+)$", _without_blocks(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def commands_in(page: str) -> list[list[str]]:
    """Each `scim-gateway ...` of the blocks and of the text, as words, without the program's name."""
    shells = [block for language, block in blocks_in(page) if language in ("sh", "")]
    lines = [line for block in shells for line in block.replace("\\\n", " ").splitlines()]
    return [words for text in (*lines, *_SPAN.findall(_without_blocks(page))) for words in _commands(text)]


def short_commands_in(page: str) -> list[list[str]]:
    """Each command of a group that the text names without the program, such as `guard list`."""
    return [shlex.split(span) for span in _SPAN.findall(_without_blocks(page)) if _SHORT.match(span)]


def blocks_in(page: str) -> list[tuple[str, str]]:
    """Language and text of each fenced block."""
    return [(language, textwrap.dedent(text)) for _, language, text in _FENCE.findall(page)]


def settings_in(page: str) -> set[str]:
    """What reads like the key of a setting, such as `limits.burst` or `tenants.*.operations`."""
    spans = {span for span in _SPAN.findall(_without_blocks(page)) if _SETTING.fullmatch(span)}
    return {span for span in spans if not span.endswith(_FILES)}


def files_in(page: str) -> list[str]:
    """Files and directories of the project, by their path from its root."""
    return [span for span in _SPAN.findall(_without_blocks(page)) if _PATH.fullmatch(span)]


def _without_blocks(page: str) -> str:
    return _FENCE.sub("", page)


def _commands(text: str) -> Iterator[list[str]]:
    for after in re.split(rf"(?:^|(?<=[\s/(]))(?<!-u ){PROGRAM}(?=\s)", text)[1:]:  # -u: the user, or systemd's unit
        words = shlex.split(_ENDS.split(after, maxsplit=1)[0])
        yield [word for word in words if word != "..."]
