"""What the commands of `audit` share: the logs they read, what they say and where, moments, and the user's index."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import click

from gateway.audit.queries import BEGINNING, END, written
from gateway.cli.holds import printable
from gateway.cli.moments import read_ago, read_past
from gateway.journal.index import Index, IndexUnusable
from gateway.journal.listing import segments_of
from gateway.journal.search import Log

EXIT_UNREADABLE = 1
EXIT_UNWRITABLE = 74  # EX_IOERR of sysexits.h
DIRECTORIES = click.argument(
    "directories", metavar="DIR...", nargs=-1, required=True, type=click.Path(path_type=Path, readable=False)
)
SINCE = click.option("--since", help="From then on: a time, today, yesterday, or how long ago: 24h, 7d.")
UNTIL = click.option("--until", help="Before then: a time, which may be to come, or how long ago.")
TENANT = click.option("--tenant", help="Only this tenant's.")


def moment(text: str | None, option: str, default: str, read: Callable[[str, float], float]) -> str:
    """A moment that an option gives, as the log writes it."""
    if text is None:
        return default
    try:
        return written(read(text, time.time()))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from None


def period(since: str | None, until: str | None) -> tuple[str, str]:
    """Between which moments, as the log writes them; the last may be to come."""
    first, end = moment(since, "--since", BEGINNING, read_past), moment(until, "--until", END, read_ago)
    if end <= first:
        raise click.UsageError("--until must come after --since")
    return first, end


def once(directories: Iterable[Path]) -> list[Path]:
    """Without those that are the same as one before, whose lines would show twice."""
    return list({directory.resolve(): directory for directory in reversed(list(directories))}.values())[::-1]


def tell(text: str | bytes, *, nl: bool = True) -> None:
    """To the standard output, a text as far as that has signs for it.

    A disk that is full there is no fault of a log's, and has an exit code of its own.
    """
    encoding = sys.stdout.encoding or "utf-8"
    try:
        click.echo(text.encode(encoding, "replace").decode(encoding) if isinstance(text, str) else text, nl=nl)
    except BrokenPipeError:
        raise  # whoever reads had enough
    except OSError as error:
        complain(f"standard output: {error.strerror}: not all that was found could be written")
        _give_up_output()
        sys.exit(EXIT_UNWRITABLE)


def _give_up_output() -> None:
    """What is still to be written would fail once more when Python ends, and change the exit code."""
    with suppress(OSError, ValueError):  # a test's has no descriptor
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def complain(text: str) -> None:
    """To whoever is at the terminal; nothing that goes into a pipe."""
    click.echo(printable(text), err=True)


def said(error: OSError, directory: Path | None = None) -> str:
    """What is wrong with a file."""
    where = error.filename or directory
    return printable(f"{where}: {error.strerror or error}" if where else str(error))


def index_path(directory: Path, environ: Mapping[str, str]) -> Path:
    """Where the index of a log lies, if nobody says otherwise: in the user's cache.

    Raises:
        RuntimeError: the user has no home.
    """
    cache = environ.get("XDG_CACHE_HOME", "")
    home = Path(cache) if Path(cache).is_absolute() else Path.home() / ".cache"
    name = hashlib.sha256(os.fsencode(directory.resolve())).hexdigest()[:32]
    return home / "scim-gateway" / "audit-index" / f"{name}.sqlite"


@contextmanager
def opened(directories: Sequence[Path], *, file: Path | None, with_index: bool) -> Iterator[list[Log]]:
    """Logs with their indexes brought up to date; where that fails, it is said and the log itself is read.

    Raises:
        OSError: a log cannot be read.
    """
    with ExitStack() as stack:
        yield [Log(path, _index(path, file, stack) if with_index else None, _complain_of_index) for path in directories]


def _index(directory: Path, file: Path | None, stack: ExitStack) -> Index | None:
    segments_of(directory)  # no index of what is no log
    try:
        index = stack.enter_context(Index(directory, file or _own_file(directory), is_ours=file is None))
        with progress((directory,)) as update:
            index.refresh(update)
    except IndexUnusable as error:
        _complain_of_index(str(error))
        return None
    return index


def _own_file(directory: Path) -> Path:
    try:
        path = index_path(directory, os.environ)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.chmod(0o700)
    except OSError as error:
        raise IndexUnusable(said(error)) from error
    except RuntimeError as error:
        raise IndexUnusable(str(error)) from error
    return path


def _complain_of_index(why: str) -> None:
    complain(f"Without an index, for it cannot be used ({why}): the log itself is read, which takes longer.")


@contextmanager
def progress(directories: Iterable[Path], passes: int = 1) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal for whoever reads the bytes of these logs, so many times."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    sizes = [_size(path) for directory in directories for path in segments_of(directory)]
    with click.progressbar(length=passes * sum(sizes), label="reading", file=sys.stderr) as bar:
        yield bar.update


def _size(path: Path) -> int:
    with suppress(FileNotFoundError):  # deleted since it was listed
        return path.stat().st_size
    return 0
