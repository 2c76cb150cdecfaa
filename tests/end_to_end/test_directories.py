"""What operators are told whose directories and keys are closed to the gateway's user: by `check` and by `serve`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway import history
from gateway.journal.keys import KEY_NAME
from gateway.journal.locks import LOCK_NAME
from gateway.journal.recovery import NOTES_NAME
from gateway.journal.reserve import RESERVE_NAME
from gateway.settings.checking import AUDIT_KEY_NAME, GONE_ON_WITH
from gateway.state.keeper import FILE_NAME
from tests.end_to_end.processes import write_settings
from tests.ports import unused_port

NOBODY = 65534
# Imported before, for the interpreter itself may lie where nobody may look.
DROP = f"import os; os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})"
RUN = "import gateway.cli.check, gateway.cli.serve, uvloop; {}; from gateway.cli import main; main()"
CONTENT = b"what an earlier run left"


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that the gateway's user can reach, which pytest's own are not."""
    directory = Path(tempfile.mkdtemp(prefix="scim-gateway-"))
    directory.chmod(0o755)
    write_settings(directory, "http://127.0.0.1:9", unused_port(), unused_port())
    for name in ("state", "audit"):
        (directory / name).mkdir()
    yield directory
    for path in (directory, *directory.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o700)
    shutil.rmtree(directory)


def run(directory: Path, *words: str) -> tuple[int, str]:
    """As nobody, where the tests run as root, whom no mode stops."""
    if os.geteuid() == 0:
        for path in (directory, *directory.rglob("*")):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    script = RUN.format(DROP if os.geteuid() == 0 else "pass")
    ran = subprocess.run(
        [sys.executable, "-c", script, *words, "--config", str(directory / "gateway.toml")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parents[2],
        env={"PATH": os.environ["PATH"]},
    )
    return ran.returncode, ran.stdout + ran.stderr


def close_directory(place: Path) -> None:
    (place / "audit").chmod(0o500)


def close_parent(place: Path) -> None:
    (place / "in").mkdir()
    settings = (place / "gateway.toml").read_text()
    (place / "gateway.toml").write_text(settings.replace('"audit"', '"in/audit"'))
    (place / "in").chmod(0)


def point_nowhere(place: Path) -> None:
    (place / "audit").rmdir()
    (place / "audit").symlink_to(place / "nowhere")


def close(name: str) -> Callable[[Path], None]:
    def closing(place: Path) -> None:
        (place / name).write_bytes(CONTENT)
        (place / name).chmod(0)

    return closing


def put_rsa_key(place: Path) -> None:
    key = generate_private_key(65537, 2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (place / "state" / KEY_NAME).write_bytes(pem)


@pytest.mark.parametrize(
    ("spoil", "key", "says"),
    [
        (close_directory, "audit.directory", "cannot be written to by this user; mkdir and chown"),
        (close_parent, "audit.directory", "cannot be reached by this user: a directory above it is closed to it"),
        (point_nowhere, "audit.directory", "is a link to what is not there; make that, or remove the link"),
        (close("audit/.lock"), "audit.directory", "audit/.lock is closed to this user"),
        (close("audit/checkpoints"), "audit.directory", "audit/checkpoints is closed to this user"),
        (close("audit/audit-000001.jsonl"), "audit.directory", "chown -R"),
        (close("state/guard.sqlite3"), "gateway.state_directory", "state/guard.sqlite3 is closed to this user"),
        (close(f"state/{KEY_NAME}"), "gateway.state_directory", "cannot be read: Permission denied"),
        (put_rsa_key, "gateway.state_directory", "another kind than Ed25519; openssl genpkey"),
    ],
)
def test_check_and_serve_say_what_is_closed_and_what_to_do(
    place: Path, spoil: Callable[[Path], None], key: str, says: str
) -> None:
    spoil(place)
    code, shown = run(place, "check", "--json")
    problems = json.loads(shown)["problems"]

    assert code == 78
    assert [says in problem["text"] for problem in problems if problem["key"] == key] == [True]
    code, shown = run(place, "serve")
    assert code == 78
    assert says in shown
    assert "Traceback" not in shown


def test_what_nobody_writes_any_more_may_be_read_only(place: Path) -> None:
    for name in ("audit/audit-000001.jsonl", "audit/audit-000002.jsonl", "audit/notes.txt"):
        (place / name).write_bytes(CONTENT)
    (place / "audit/audit-000001.jsonl").chmod(0o440)
    (place / "audit/notes.txt").chmod(0)

    assert run(place, "check")[0] == 0


def test_the_files_that_are_looked_for_are_those_that_the_gateway_makes() -> None:
    assert {LOCK_NAME, NOTES_NAME, RESERVE_NAME, FILE_NAME, history.FILE_NAME} == set(GONE_ON_WITH)
    assert KEY_NAME == AUDIT_KEY_NAME
