"""Makes what compose.yaml needs and nobody should commit: a certificate, the client's token, the application's secret.

    python prepare.py DIRECTORY

Secrets that are there are kept; the certificate is made anew each time, for it is valid for a month.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

from gateway.rehearsal.certificates import make_development_certificates
from gateway.settings.tokens import make_token

NAMES = ("localhost", "127.0.0.1")
BASE_URL = "https://localhost:8443/scim/demotenant01/v2"


def prepare(directory: Path) -> str:
    """Make what is missing; the client's token."""
    make_development_certificates(directory / "tls", NAMES)
    _once(directory / "application-token", secrets.token_urlsafe(32))
    return _once(directory / "client-token", make_token(secrets.choice))


def _once(file: Path, secret: str) -> str:
    """The file's secret; `secret`, written there, if it has none yet."""
    if not file.exists():
        unfinished = file.with_suffix(".new")
        unfinished.touch(mode=0o600)
        unfinished.write_text(secret + "\n", encoding="ascii")
        unfinished.replace(file)
    return file.read_text(encoding="ascii").strip()


def main() -> None:
    """Prepare the directory that the command line names, and say what to enter where."""
    if len(sys.argv) != 2:
        sys.exit("usage: prepare.py DIRECTORY")
    try:
        token = prepare(Path(sys.argv[1]))
    except OSError as error:
        sys.exit(
            f"{error.filename}: {error.strerror}: the directory must be there, and belong to the user {os.getuid()}"
        )
    print(f"Base URL  {BASE_URL}\nToken     {token}")


if __name__ == "__main__":
    main()
