"""`scim-gateway audit` on logs in files: what it says, and the exit code."""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.audit.chain import Link, linked
from gateway.audit.checkpoints import Checkpoint, origin_of
from gateway.audit.lines import segment_line
from gateway.audit.merkle import Tree
from gateway.cli.audit import command
from gateway.cli.audit_logs import EXIT_UNWRITABLE
from gateway.journal.disk import Disk
from gateway.journal.keys import KEY_NAME, made_or_read, public_pem
from gateway.journal.notes import append_note
from gateway.journal.recovery import NOTES_NAME
from tests.journal import logs
from tests.journal.disks import LINE, open_segments
from tests.settings.files import write_good


def audit(*words: object) -> Result:
    return CliRunner().invoke(command, [str(word) for word in words])


@pytest.fixture
def honest(tmp_path: Path) -> Path:
    logs.write_log(tmp_path / "gw-1", random.Random(1))
    (tmp_path / "key.pem").write_text(public_pem(logs.KEY))
    return tmp_path / "gw-1"


def tamper(directory: Path) -> None:
    path = logs.segment_paths(directory)[0]
    path.write_bytes(path.read_bytes().replace(b'"mark":0', b'"mark":9'))


def test_an_honest_log_exits_0_and_says_how_far_it_is_proven(honest: Path) -> None:
    ran = audit("verify", honest, "--key", honest.parent / "key.pem")

    assert ran.exit_code == 0, ran.output
    assert "are as they were written" in ran.output
    assert "checkpoints hold" in ran.output
    assert "not checked" not in ran.output


def test_a_log_whose_key_was_changed_is_proven_with_both_keys(honest: Path, tmp_path: Path) -> None:
    later = Ed25519PrivateKey.from_private_bytes(bytes([7] * 32))
    (tmp_path / "later.pem").write_text(public_pem(later))
    segments = open_segments(honest)
    segments.append([LINE])
    logs.sign_off(honest, segments, later)
    segments.close()
    first, second = ("--key", tmp_path / "key.pem"), ("--key", tmp_path / "later.pem")

    assert audit("verify", honest, *first, *second).exit_code == 0
    assert audit("verify", honest, *second, *first).exit_code == 0
    for alone in (first, second):
        ran = audit("verify", honest, *alone)
        assert (ran.exit_code, "foreign checkpoint" in ran.output) == (1, True)


def test_without_a_key_it_says_that_nobodys_signature_was_checked(honest: Path) -> None:
    assert "give --key" in audit("verify", honest).output


def test_without_a_checkpoint_it_says_what_it_could_not_see(honest: Path) -> None:
    (honest / NOTES_NAME).unlink()
    ran = audit("verify", honest)

    assert ran.exit_code == 0
    assert "hang together; no checkpoint stands for them yet" in ran.output
    assert "no checkpoint was there" in ran.output
    assert "as they were written" not in ran.output


@pytest.mark.parametrize("how", [[], ["--json"]])
def test_with_a_key_and_no_checkpoint_nothing_is_signed(honest: Path, how: list[str]) -> None:
    (honest / NOTES_NAME).unlink()
    ran = audit("verify", honest, "--key", honest.parent / "key.pem", *how)

    assert ran.exit_code == 1
    assert ('"ok": false' if how else "NOTHING PROVEN: nothing is signed") in ran.stdout
    assert ('"unsigned_from": 1' if how else "hang together") in ran.stdout


def test_lines_behind_the_last_checkpoint_are_said_to_hang_together(honest: Path) -> None:
    path = logs.segment_paths(honest)[-1]
    segments = open_segments(honest)
    segments.append([LINE] * 2)
    segments.close()
    last = path.read_bytes().count(b"\n") + int(path.read_bytes().split(b",")[0].removeprefix(b'{"seq":')) - 1
    ran = audit("verify", honest, "--key", honest.parent / "key.pem")
    told = json.loads(audit("verify", honest, "--json").stdout)

    assert ran.exit_code == 0
    assert f"lines 1 to {last - 2} are as they were written\n" in ran.stdout
    assert f"lines {last - 1} to {last} hang together; no checkpoint stands for them yet" in ran.stdout
    assert (told["ok"], told["proven_to"], told["unsigned_from"], told["last"]) == (True, last - 2, last - 1, last)


def test_one_checkpoint_holds_and_several_hold(honest: Path) -> None:
    notes = (honest / NOTES_NAME).read_bytes().split(b"\n\n")
    (honest / NOTES_NAME).write_bytes(b"\n\n".join((*notes[-3:-1], b"")))

    assert "1 checkpoint holds, up to line" in audit("verify", honest).stdout
    assert "line 1 is as it was written" in audit("verify", honest, "--to", 1).stdout
    (honest / NOTES_NAME).unlink()
    assert "line 1 is chained; no checkpoint stands for it yet" in audit("verify", honest, "--to", 1).stdout


def test_one_bad_log_of_two_exits_1_and_names_the_line(honest: Path, tmp_path: Path) -> None:
    logs.write_log(tmp_path / "gw-2", random.Random(2))
    tamper(tmp_path / "gw-2")
    ran = audit("verify", honest, tmp_path / "gw-2")

    assert ran.exit_code == 1
    assert f"{honest}: lines 1 to" in ran.output
    assert "TAMPERED WITH: edit at line 2: line 2 is not what line 3 says it was" in ran.output


@pytest.mark.parametrize("how", [[], ["--json"]])
def test_a_range_without_a_line_exits_1_and_says_so(honest: Path, how: list[str]) -> None:
    ran = audit("verify", honest, "--from", 99999, *how)

    assert ran.exit_code == 1
    assert ('"ok": false' if how else "NOTHING PROVEN: no line that was asked for") in ran.output


def test_a_checkpoint_kept_elsewhere_shows_that_the_end_was_cut_off(honest: Path, tmp_path: Path) -> None:
    (honest / NOTES_NAME).rename(tmp_path / "kept")
    last = logs.segment_paths(honest)[-1]
    last.write_bytes(b"".join(last.read_bytes().splitlines(keepends=True)[:-1]))

    assert audit("verify", honest).exit_code == 0
    ran = audit("verify", honest, "--checkpoint", tmp_path / "kept")
    assert (ran.exit_code, "truncation" in ran.output) == (1, True)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"root:x:0:0:root:/root:/bin/bash\n" * 9,
        public_pem(logs.KEY).encode(),
        b"scim-gateway/gw-1\n",
        b"\xff" * 99,
    ],
)
def test_a_file_without_a_checkpoint_is_an_error_that_names_it(honest: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "kept").write_bytes(content)
    ran = audit("verify", honest, "--checkpoint", tmp_path / "kept")

    assert (ran.exit_code, ran.stdout) == (1, "")
    assert f"{tmp_path / 'kept'} holds no checkpoint: give a copy of the file `checkpoints`" in ran.stderr


def test_a_checkpoint_with_something_else_around_it_is_an_error(honest: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(b"Hello Anna,\n\n" + (honest / NOTES_NAME).read_bytes())
    ran = audit("verify", honest, "--checkpoint", tmp_path / "kept")

    assert (ran.exit_code, ran.stdout, "holds 'Hello Anna,', which is no part" in ran.stderr) == (1, "", True)


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b" \n    "])
def test_a_checkpoint_that_was_mailed_or_pasted_is_understood(honest: Path, tmp_path: Path, ending: bytes) -> None:
    content = (honest / NOTES_NAME).read_bytes()
    (honest / NOTES_NAME).unlink()
    (tmp_path / "kept").write_bytes(content.replace(b"\n", ending))
    words = ("verify", honest, "--key", honest.parent / "key.pem", "--checkpoint", tmp_path / "kept")
    good = audit(*words)
    (tmp_path / "kept").write_bytes(content.replace(b"\n", ending).replace(b"gw-1", b"gw-2"))

    assert (good.exit_code, "checkpoints hold" in good.stdout) == (0, True)
    assert audit(*words).exit_code == 1


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """The log of another instance, gw-2, whose checkpoints another key signed: other.pem."""
    key = Ed25519PrivateKey.from_private_bytes(bytes([9] * 32))
    (tmp_path / "other.pem").write_text(public_pem(key))
    directory = tmp_path / "gw-2"
    directory.mkdir()
    line = segment_line(1, 1, Tree(), now=0.0, instance="gw-2")
    written, link = linked(Link(), [line, LINE])
    (directory / "audit-000001.jsonl").write_bytes(written)
    append_note(directory, Checkpoint(origin_of("gw-2"), 2, link.tree.root), key, Disk())
    return directory


def test_kept_checkpoints_of_several_instances_go_each_to_its_log(honest: Path, other: Path, tmp_path: Path) -> None:
    kept = [option for log in (honest, other) for option in ("--checkpoint", log / NOTES_NAME)]
    words = ["--key", tmp_path / "key.pem", "--key", tmp_path / "other.pem", *kept]
    ran = audit("verify", honest, other, *words)
    alone = audit("verify", honest, *words)

    assert (ran.exit_code, "foreign" in ran.output) == (0, False), ran.output
    assert (alone.exit_code, "foreign checkpoint" in alone.output) == (1, True)


@pytest.mark.parametrize("how", [[], ["--json"]])
def test_a_kept_checkpoint_that_is_of_none_of_the_logs_is_told_once(
    honest: Path, other: Path, tmp_path: Path, how: list[str]
) -> None:
    (tmp_path / "kept").write_bytes((honest / NOTES_NAME).read_bytes().replace(b"gw-1", b"gw-3")[:-1])
    ran = audit("verify", honest, other, "--checkpoint", tmp_path / "kept", *how)
    told = [line for line in ran.stdout.splitlines() if "foreign checkpoint" in line]

    assert ran.exit_code == 1
    assert len(told) == (honest / NOTES_NAME).read_bytes().count(b"gw-1") // 2
    assert all("is of none of these logs" in line and str(tmp_path / "kept") in line for line in told)
    assert not how or all(json.loads(line)["ok"] is False for line in told)


def test_json_says_the_same(honest: Path) -> None:
    tamper(honest)
    told = json.loads(audit("verify", honest, "--json").stdout)

    assert (told["ok"], told["finding"]["looks_like"], told["finding"]["line"]) == (False, "edit", 2)


def test_json_says_whether_signatures_were_checked(honest: Path) -> None:
    for words, checked in ([], False), (["--key", honest.parent / "key.pem"], True):
        told = json.loads(audit("verify", honest, "--json", *words).stdout)
        assert (told["ok"], told["error"], told["signatures_checked"]) == (True, None, checked)


def test_json_has_an_object_for_a_directory_that_cannot_be_read_too(honest: Path, tmp_path: Path) -> None:
    ran = audit("verify", tmp_path / "none", honest, "--json")
    none, good = map(json.loads, ran.stdout.splitlines())

    assert (ran.exit_code, none["ok"], good["ok"]) == (1, False, True)
    assert (none["directory"], none["error"]) == (str(tmp_path / "none"), ran.stderr.rstrip("\n"))


@pytest.mark.parametrize("option", ["--key", "--checkpoint"])
def test_a_file_that_is_not_there_exits_1(honest: Path, option: str) -> None:
    ran = audit("verify", honest, option, honest / "none")

    assert ran.exit_code == 1
    assert "No such file" in ran.output


def test_a_directory_without_a_log_exits_1(tmp_path: Path) -> None:
    ran = audit("verify", tmp_path)

    assert (ran.exit_code, "there is no audit log" in ran.output) == (1, True)


@pytest.mark.parametrize("words", [["verify"], ["verify", "--json"], ["search", "--no-index"], ["report"]])
def test_a_full_disk_for_what_is_found_is_no_fault_of_the_log(
    honest: Path, words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(SystemExit) as ended:
            command.main([*words, str(honest)], prog_name="audit")
        full.flush()

    assert ended.value.code == EXIT_UNWRITABLE
    assert "standard output: No space left on device" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["audit-000999.jsonl", NOTES_NAME])
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_an_error_and_not_waited_for(
    honest: Path, other: Path, name: str, make: Callable[[Path], None]
) -> None:
    kept = honest.parent / "kept"
    kept.write_bytes((other / NOTES_NAME).read_bytes())
    (honest / name).unlink(missing_ok=True)
    make(honest / name)
    ran = audit("verify", honest, other, "--checkpoint", kept)

    assert ran.exit_code == 1
    assert ran.stderr == f"{honest / name}: is no regular file\n"


@pytest.mark.parametrize("suffix", [".gz", ".zst", ".xz"])
def test_of_compressed_files_it_says_that_they_must_be_unpacked(honest: Path, suffix: str) -> None:
    first, *others = logs.segment_paths(honest)
    assert "unpack it" not in audit("verify", honest).output
    first.rename(f"{first}{suffix}")
    some = audit("verify", honest)
    for path in others:
        path.rename(f"{path}{suffix}")
    none = [audit(name, honest) for name in ("verify", "search", "report")]

    assert (some.exit_code, [ran.exit_code for ran in none]) == (1, [1, 1, 1])
    assert "are missing" in some.stdout
    assert f"  {first.name}{suffix} is compressed: unpack it first" in some.stdout
    for ran in none:
        assert f"there is no audit log (audit-*.jsonl), but {1 + len(others)} files are compressed" in ran.stderr


def test_key_prints_the_public_key_of_the_settings(tmp_path: Path) -> None:
    file = write_good(tmp_path)
    (tmp_path / "state").mkdir(exist_ok=True)
    key = made_or_read(tmp_path / "state" / KEY_NAME)
    ran = audit("key", "--config", file)

    assert ran.exit_code == 0, ran.output
    assert ran.output == public_pem(key)
