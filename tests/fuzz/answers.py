"""Coverage-guided fuzzing of the answer reader with atheris: `make fuzz`, for a minute or as long as FUZZ_SECONDS says.

The first byte says how the rest is cut. However it is cut, the reader comes to the same end: an answer, a refusal, or
nothing yet; and it raises nothing but a refusal.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import atheris

with atheris.instrument_imports():
    from gateway.refusal import Refusal
    from gateway.stages.forwarding.answers import WireAnswer, decode_body, judge
    from gateway.stages.forwarding.reader import AnswerReader

MAX_BYTES = 4096
SEEDS = (
    b"\x00HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    b"\x01HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    b"\x07HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n{}",
    b"\x03HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
)

WORDS = (
    "HTTP/1.1 ", "HTTP/1.0 ", "\\x0d\\x0a", "\\x0d\\x0a\\x0d\\x0a", "Content-Length: ", "Transfer-Encoding: chunked",
    "Connection: close", "Content-Encoding: gzip", "0\\x0d\\x0a\\x0d\\x0a", "100", "101", "103", "204", "304",
)  # fmt: skip

Read = tuple[str, WireAnswer | None, bool]


def read(pieces: list[bytes]) -> Read:
    """What comes of an answer that arrives in pieces and ends with its connection."""
    reader = AnswerReader(MAX_BYTES)
    try:
        for piece in pieces:
            reader.feed(piece)
        reader.end()
    except Refusal as refusal:
        return refusal.reason.slug, None, False
    return "", reader.answer, reader.keeps_connection


def one_input(data: bytes) -> None:
    """Read it whole and cut; they must agree."""
    step, wire = 1 + (data[0] if data else 0) % 32, data[1:]
    whole = read([wire] if wire else [])
    cut = read([wire[start : start + step] for start in range(0, len(wire), step)])
    # Too large and broken may come in either order, as they come in the wire.
    if whole != cut and not (whole[0] and cut[0]):
        raise AssertionError(f"{wire!r}: {whole} whole, {cut} in pieces of {step}")
    if whole[1] is not None:
        with suppress(Refusal):
            judge("GET", whole[1].status, whole[1].fields, decode_body(whole[1], MAX_BYTES))


def main() -> None:
    """Begin with what real answers look like: by chance alone no fuzzer finds as much as a status line."""
    corpus = Path("build/fuzz-answers")
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS):
        (corpus / f"seed-{number}").write_bytes(seed)
    words = corpus.with_suffix(".words")
    words.write_text("".join(f'"{word}"\n' for word in WORDS), encoding="ascii")
    atheris.Setup([*sys.argv, f"-dict={words}", str(corpus)], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
