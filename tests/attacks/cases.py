"""The attacks, as bytes: smuggling, splitting and path confusion, from RFC 9110, RFC 9112 and the public literature.

Each case says which statuses its first answer may have and how many requests the upstream may see. In what is
sent, AUTH stands for a valid Authorization line, HOST for the right Host line, BASE for the tenant's path.
"""

from __future__ import annotations

from dataclasses import dataclass

USER = b'{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"mallory"}'
SMUGGLED = b"DELETE BASE/Users/victim HTTP/1.1\r\nHOST\r\nAUTH\r\n\r\n"
JSON = b"Content-Type: application/scim+json\r\n"

REFUSED = frozenset({400, 404, 405, 408, 413, 415, 417, 421, 431, 501, 505})
BAD = frozenset({400})


@dataclass(frozen=True, slots=True)
class Case:
    """One attack. `target` is what the upstream must have seen, when it may see one request."""

    name: str
    data: bytes
    statuses: frozenset[int] = BAD
    target: bytes | None = None  # None: the upstream sees nothing at all
    closes: bool = True  # the gateway ends the connection, so that nothing behind is ever parsed


def head(method: bytes, target: bytes, *lines: bytes, version: bytes = b"HTTP/1.1") -> bytes:
    return b"\r\n".join([method + b" " + target + b" " + version, b"HOST", b"AUTH", *lines, b"", b""])


def post(*lines: bytes, body: bytes = b"", tail: bytes = SMUGGLED) -> bytes:
    return head(b"POST", b"BASE/Users", b"Content-Type: application/scim+json", *lines) + body + tail


def chunked(body: bytes) -> bytes:
    return b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"


LENGTH = b"Content-Length: %d" % len(USER)
CHUNKED = b"Transfer-Encoding: chunked"

# RFC 9112 section 6.1 and 6.3: a message whose length can be read in two ways.
_TE_SPELLINGS = (
    b"Transfer-Encoding : chunked",
    b"Transfer-Encoding\t: chunked",
    b" Transfer-Encoding: chunked",
    b"Transfer-Encoding:\x0bchunked",
    b"Transfer-Encoding: \x0cchunked",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: chunkedx",
    b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding: identity, chunked",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding: chunked, chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: chunked, gzip",
    b"Transfer-Encoding: deflate",
    b"Transfer-Encoding: 'chunked'",
    b'Transfer-Encoding: "chunked"',
    b"Transfer-Encoding: chunked;a=b",
    b"Transfer-Encoding: ,chunked",
    b"Transfer-Encoding: chunked,",
    b"Transfer-Encoding:",
    b"Transfer-Encoding: \r\n chunked",
    b"Transfer-Encoding\r\n: chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\x00",
    b"Transfer-Encoding: \xa0chunked",
    b"X: y\rTransfer-Encoding: chunked",
    b"X: y\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\x0b",
)

FRAMING = (
    *(Case(f"both lengths: {line!r}", post(LENGTH, line, body=USER), frozenset({400, 501})) for line in _TE_SPELLINGS),
    *(Case(f"coding alone: {line!r}", post(line, body=chunked(USER)), frozenset({400, 501})) for line in _TE_SPELLINGS),
    Case("CL.TE", post(b"Content-Length: 6", CHUNKED, body=b"0\r\n\r\n")),
    Case("TE.CL", post(CHUNKED, b"Content-Length: 4", body=chunked(USER))),
    Case("CL and TE without case", post(b"content-length: 5", b"tRANSFER-eNCODING: CHUNKED", body=chunked(USER))),
    Case("two lengths", post(LENGTH, b"Content-Length: 0", body=USER)),
    Case("two equal lengths", post(LENGTH, LENGTH, body=USER)),
    Case("length as a list", post(b"Content-Length: 5, 5", body=USER)),
    Case("length with a sign", post(b"Content-Length: +5", body=USER)),
    Case("negative length", post(b"Content-Length: -1", body=USER)),
    Case("hexadecimal length", post(b"Content-Length: 0x5", body=USER)),
    Case("length with an underscore", post(b"Content-Length: 1_0", body=USER)),
    Case("length with a space in it", post(b"Content-Length: 1 0", body=USER)),
    Case("length with a fraction", post(b"Content-Length: 5.0", body=USER)),
    Case("length with an exponent", post(b"Content-Length: 5e0", body=USER)),
    Case("empty length", post(b"Content-Length:", body=USER)),
    Case("length of Arabic digits", post(b"Content-Length: \xd9\xa5", body=USER)),
    Case("length beyond 64 bits", post(b"Content-Length: 18446744073709551621", body=USER), frozenset({400, 413})),
    Case("length with a control byte", post(b"Content-Length: 5\x0b", body=USER)),
    Case("length behind a space before the colon", post(b"Content-Length : 5", body=USER)),
    Case("length in an invalid name", post(b"Content-Length\x85: 5", body=USER)),
    Case("length behind a folded line", post(b"X: y\r\n Content-Length: 5", body=USER)),
    Case(
        "GET with a body that is a request",
        head(b"GET", b"BASE/Users", b"Content-Length: %d" % len(SMUGGLED)) + SMUGGLED,
    ),
    Case("GET with a chunked body", head(b"GET", b"BASE/Users", CHUNKED) + chunked(b"x") + SMUGGLED),
    Case("DELETE with a body that is a request", head(b"DELETE", b"BASE/Users/1", b"Content-Length: 9") + SMUGGLED),
    Case("chunk size with a sign", post(CHUNKED, body=b"+5\r\nhello\r\n0\r\n\r\n")),
    Case("chunk size with 0x", post(CHUNKED, body=b"0x5\r\nhello\r\n0\r\n\r\n")),
    Case("negative chunk size", post(CHUNKED, body=b"-1\r\nhello\r\n0\r\n\r\n")),
    Case(
        "chunk size beyond 64 bits",
        post(CHUNKED, body=b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
        frozenset({400, 413}),
    ),
    Case("chunk size with an underscore", post(CHUNKED, body=b"1_0\r\nhello\r\n0\r\n\r\n")),
    Case("empty chunk size", post(CHUNKED, body=b"\r\nhello\r\n0\r\n\r\n")),
    Case("chunk longer than its size", post(CHUNKED, body=b"2\r\nhello\r\n0\r\n\r\n")),
    Case("chunk without its line end", post(CHUNKED, body=b"5\r\nhello0\r\n\r\n")),
    Case("bare LF behind a chunk size", post(CHUNKED, body=b"5\nhello\r\n0\r\n\r\n")),
    Case("bare LF behind chunk data", post(CHUNKED, body=b"5\r\nhello\n0\r\n\r\n")),
    Case("bare CR behind a chunk size", post(CHUNKED, body=b"5\rhello\r\n0\r\n\r\n")),
    Case("bare LF in a chunk extension", post(CHUNKED, body=b"5;a\nhello\r\n0\r\n\r\n")),
    Case("chunk extension with CR", post(CHUNKED, body=b"5;a=\rb\r\nhello\r\n0\r\n\r\n")),
    Case("space before a chunk size", post(CHUNKED, body=b" 5\r\nhello\r\n0\r\n\r\n")),
    Case("last chunk without its end", post(CHUNKED, body=b"5\r\nhello\r\n0\r\nX\r\n\r\n")),
    Case("trailers with a length", post(CHUNKED, body=b"5\r\nhello\r\n0\r\nContent-Length: 3\r\n\r\n")),
    Case(
        "chunked on HTTP/1.0",
        post(CHUNKED, body=chunked(USER)).replace(b"HTTP/1.1", b"HTTP/1.0", 1),
        frozenset({400, 505}),
    ),
)

# RFC 9112 sections 2.2, 5 and 5.2; RFC 9110 section 5.5.
FIELDS = tuple(
    Case(f"field: {line!r}", head(b"GET", b"BASE/Users", line) + SMUGGLED, frozenset({400, 431}))
    for line in (
        b"X : y",
        b"X\t: y",
        b" X: y",
        b"X: y\r\n folded",
        b"X: y\r\n\tfolded",
        b"X",
        b": y",
        b"X\x00: y",
        b"X: y\x00",
        b"X: y\x01",
        b"X: y\x7f",
        b"X: y\x0b",
        b"X: y\rX-Injected: z",
        b"X: y\nX-Injected: z",
        b"X: y\n\nGET /evil HTTP/1.1",
        b"X\r: y",
        b"(X): y",
        b"X@Y: y",
        b"X/Y: y",
        b"X[]: y",
        b'X": y',
        b"X\xc3\xa9: y",
        b"Host: scim.example.com",
        b"Host: evil.example",
        b"host: evil.example",
        b"X: " + b"a" * 70_000,
        b"X" * 70_000 + b": y",
        b"\r\n".join(b"X-%d: y" % n for n in range(400)),
    )
)

HOSTS = tuple(
    Case(f"host: {line!r}", b"GET BASE/Users HTTP/1.1\r\n" + line + b"AUTH\r\n\r\n" + SMUGGLED, frozenset({400, 421}))
    for line in (
        b"",
        b"Host:\r\n",
        b"Host: evil.example\r\n",
        b"Host: localhost@evil.example\r\n",
        b"Host: user@localhost\r\n",
        b"Host: localhost, evil.example\r\n",
        b"Host: localhost evil.example\r\n",
        b"Host: localhost/evil\r\n",
        b"Host: localhost?x\r\n",
        b"Host: localhost#x\r\n",
        b"Host: localhost:port\r\n",
        b"Host: localhost:99999\r\n",
        b"Host: localhost:-1\r\n",
        b"Host: localhost.evil.example\r\n",
        b"Host: [::1\r\n",
        b"Host: http://localhost\r\n",
        b"Host: loc\x00alhost\r\n",
        b"Host : localhost\r\n",
        "Host: ⓛocalhost\r\n".encode(),
    )
)

# RFC 9112 section 3.2, RFC 3986; path confusion.
_TARGETS = (
    b"BASE/Users/%2e%2e/Groups",
    b"BASE/Users/%2E%2e/Groups",
    b"BASE/Users/.%2e/Groups",
    b"BASE/Users/%2e/Groups",
    b"BASE/Users/../Groups",
    b"BASE/Users/./1",
    b"BASE/../../admin",
    b"BASE/Users/..",
    b"BASE/Users/..;/Groups",
    b"BASE/Users;a=b",
    b"BASE/Users/1;x",
    b"BASE/Users%3ba",
    b"BASE//Users",
    b"//BASE/Users",
    b"BASE/Users//1",
    b"BASE/Users/%2f1",
    b"BASE%2fUsers",
    b"BASE/Users/a%2Fb",
    b"BASE/Users/%5c..%5c",
    b"BASE/Users\\1",
    b"BASE\\Users",
    b"BASE/Users/%00",
    b"BASE/Users/1%00.json",
    b"BASE/Users/%0d%0aX:y",
    b"BASE/Users/%0a",
    b"BASE/Users/%7f",
    b"BASE/Users#fragment",
    b"BASE/Users?x=1#fragment",
    b"BASE/Users/%",
    b"BASE/Users/%2",
    b"BASE/Users/%zz",
    b"BASE/Users?x=%zz",
    b"BASE/Users/%252e%252e/Groups",
    b"BASE/Users/%252f",
    b"BASE/Users/%c0%ae%c0%ae/",
    b"BASE/%55sers",
    b"BASE/Users/\xc3\xa9",
    b"BASE/Users/\xff",
    b"BASE/Users?filter=\xc3\xa9",
    b"BASE/Users/a\tb",
    b"BASE/Users/<x>",
    b"BASE/Users?x=<script>",
    b"BASE/Users/{1}",
    b"BASE/Users/1|2",
    b"BASE/Users/1^2",
    b"BASE/Users/`id`",
    b'BASE/Users/"1"',
    b"*",
    b"localhost:443",
    b"Users",
    b"BASE/Users/" + b"a" * 9000,
    b"BASE/Users?" + b"a" * 9000,
    b"http://evil.exampleBASE/Users",
    b"https://evil.exampleBASE/Users",
    b"https://localhost@evil.exampleBASE/Users",
    b"https://user:password@localhostBASE/Users",
    b"https://localhost.evil.exampleBASE/Users",
    b"https:BASE/Users",
    b"https:///BASE/Users",
    b"ftp://localhostBASE/Users",
    b"file://BASE/Users",
    b"javascript:BASE/Users",
    b"@evil.exampleBASE/Users",
    b".evil.exampleBASE/Users",
    b"?BASE/Users",
    b"/",
    b"/admin",
    b"/scim",
    b"BASEx/Users",
    b"BASE.evil/Users",
    b"/metrics",
    b"/BASE/Users",
)

TARGETS = tuple(
    Case(f"target: {target[:60]!r}", head(b"GET", target), frozenset({400, 404, 414, 431}), closes=False)
    for target in _TARGETS
)

# RFC 9112 sections 2.3, 3 and 3.1; RFC 9110 section 9.
LINES = (
    *(
        Case(f"version {version!r}", head(b"GET", b"BASE/Users", version=version) + SMUGGLED, frozenset({400, 505}))
        for version in (
            b"HTTP/0.9",
            b"HTTP/1.0",
            b"HTTP/1.2",
            b"HTTP/1.10",
            b"HTTP/2.0",
            b"HTTP/2",
            b"HTTP/9.9",
            b"http/1.1",
            b"HTTPS/1.1",
            b"HTTP/1.1.1",
            b"HTTP/ 1.1",
            b"HTTP /1.1",
            b"HTTP/1,1",
            b"ICE/1.0",
            b"HTTP/1.1 x",
        )
    ),
    *(
        Case(f"method {method!r}", head(method, b"BASE/Users") + SMUGGLED, frozenset({400, 405, 501}))
        for method in (
            b"CONNECT",
            b"TRACE",
            b"get",
            b"GET\x00",
            b"G ET",
            b"BREW",
            b"PROPFIND",
            b"M-SEARCH",
            b"PURGE",
            b"QUERY",
        )
    ),
    Case("an HTTP/0.9 request", b"GET BASE/Users\r\n\r\n" + SMUGGLED, frozenset({400, 505})),
    Case("HTTP/2's preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SMUGGLED, frozenset({400, 501, 505})),
    Case("two spaces behind the method", head(b"GET ", b"BASE/Users") + SMUGGLED),
    Case("a tab behind the method", head(b"GET", b"BASE/Users").replace(b"GET ", b"GET\t") + SMUGGLED),
    Case("two spaces before the version", head(b"GET", b"BASE/Users ") + SMUGGLED),
    Case("a space before the line", b" " + head(b"GET", b"BASE/Users") + SMUGGLED),
    Case("a bare LF behind the line", head(b"GET", b"BASE/Users").replace(b"1.1\r\n", b"1.1\n", 1) + SMUGGLED),
    Case("a bare CR behind the line", head(b"GET", b"BASE/Users").replace(b"1.1\r\n", b"1.1\r", 1) + SMUGGLED),
    Case("bare LFs throughout", (head(b"GET", b"BASE/Users") + SMUGGLED).replace(b"\r\n", b"\n")),
    Case("a bare LF as the head's end", head(b"GET", b"BASE/Users")[:-2] + b"\n" + SMUGGLED),
    Case("a NUL in the line", head(b"GET", b"BASE/Us\x00ers") + SMUGGLED),
    Case("a space in the target", head(b"GET", b"BASE/Users x") + SMUGGLED),
    Case("garbage", b"\x00\x01\x02\x03\xff\xfe garbage\r\n\r\n" + SMUGGLED),
    Case("TLS inside TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64 + SMUGGLED),
    Case(
        "CONNECT to a host",
        b"CONNECT evil.example:443 HTTP/1.1\r\nHOST\r\nAUTH\r\n\r\n" + SMUGGLED,
        frozenset({400, 501}),
    ),
    Case(
        "an upgrade with a body",
        post(b"Upgrade: websocket", b"Connection: Upgrade", LENGTH, body=USER),
        frozenset({201, 400, 501}),
    ),
    Case(
        "an upgrade to h2c",
        head(b"GET", b"BASE/Users", b"Upgrade: h2c", b"Connection: Upgrade, HTTP2-Settings") + SMUGGLED,
        frozenset({200, 400, 501}),
    ),
    Case("an unknown expectation", post(b"Expect: 200-maybe", LENGTH, body=USER), frozenset({400, 417})),
    Case("two Authorization fields", head(b"GET", b"BASE/Users", b"AUTH"), frozenset({401}), closes=False),
    Case(
        "an Authorization field of another spelling",
        head(b"GET", b"BASE/Users", b"authorization: Bearer x"),
        frozenset({401}),
        closes=False,
    ),
)

ACCEPTED = (
    Case("a plain request", head(b"GET", b"BASE/Users"), frozenset({200}), b"BASE/Users", closes=False),
    Case(
        "our own authority",
        head(b"GET", b"https://localhost:PORTBASE/Users"),
        frozenset({200}),
        b"BASE/Users",
        closes=False,
    ),
    Case(
        "a query is not rewritten",
        head(b"GET", b"BASE/Users?filter=userName%20eq%20%22a%2Bb%40c%22"),
        frozenset({200}),
        b"BASE/Users?filter=userName%20eq%20%22a%2Bb%40c%22",
        closes=False,
    ),
    Case(
        "a trailing slash is the same collection",
        head(b"GET", b"BASE/Users/"),
        frozenset({200}),
        b"BASE/Users",
        closes=False,
    ),
    Case(
        "fields that others believe",
        head(
            b"GET",
            b"BASE/Users",
            b"X-Forwarded-Host: evil",
            b"X-Original-URL: /admin",
            b"X-HTTP-Method-Override: DELETE",
            b"Connection: close, Authorization, X-Y",
        ),
        frozenset({200}),
        b"BASE/Users",
    ),
    Case(
        "a body with its length", post(LENGTH, body=USER, tail=b""), frozenset({200, 201}), b"BASE/Users", closes=False
    ),
    Case(
        "a body in chunks",
        post(CHUNKED, body=chunked(USER), tail=b""),
        frozenset({200, 201}),
        b"BASE/Users",
        closes=False,
    ),
)

ALL = (*FRAMING, *FIELDS, *HOSTS, *TARGETS, *LINES, *ACCEPTED)
