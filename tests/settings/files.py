"""Settings files on disk, with everything they name: good ones, to be spoiled by a case."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gateway.rehearsal.certificates import make_development_certificates
from tests.worlds import PATH, TOKEN, UPSTREAM_TOKEN, sha256

GOOD = f"""
[gateway]
public_url = "https://scim.example.com"
state_directory = "state"

[listen]
address = "127.0.0.1:8443"
certificate_file = "tls/fullchain.pem"
key_file = "tls/key.pem"

[audit]
directory = "audit"

[tenants.jira]
path = "{PATH}"
client = "okta"
upstream = ["http://jira-1.internal:5501"]
upstream_token_file = "jira-secret"
sources = ["okta:us_cell_1", "203.0.113.0/24"]

[[tenants.jira.credentials]]
name = "okta-2027"
token_sha256 = "{sha256(TOKEN)}"

[sources.okta]
file = "ranges.json"
"""


def write_good(directory: Path, text: str = GOOD) -> Path:
    """A whole, good set of files; the path of the settings file."""
    make_development_certificates(directory / "tls", ("scim.example.com",))
    write_private(directory / "jira-secret", UPSTREAM_TOKEN + "\n")
    (directory / "ranges.json").write_text(json.dumps({"us_cell_1": {"ip_ranges": ["192.0.2.0/25"]}}))
    file = directory / "gateway.toml"
    file.write_text(text)
    return file


def write_private(file: Path, text: str) -> None:
    """A file that only its owner reads."""
    file.touch(mode=0o600)
    file.chmod(0o600)
    file.write_text(text)


def replaced(*pairs: tuple[str, str]) -> str:
    """The good text with pieces replaced, each of which must be there."""
    text = GOOD
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return text


def spoil(directory: Path, *pairs: tuple[str, str], **files: Any) -> Path:
    """A settings file with pieces replaced, and files by name: text, or None for none."""
    settings = write_good(directory, replaced(*pairs))
    for name, content in files.items():
        if content is None:
            (directory / name).unlink()
        else:
            write_private(directory / name, content)
    return settings
