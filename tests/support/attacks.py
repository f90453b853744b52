"""Requests that nobody means well with, as the bytes that go over the connection."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

HOST = b"Host: localhost"
# What a request behind the attack would show that it got through.
SMUGGLED = b"GET /v1/studies?limit=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
# Stands in every attack by markup; no answer may carry it as markup.
MARK = "radstream-attack"
SCRIPT = f"<script>alert('{MARK}')</script>"

TEXTS = {
    "sql": "x' OR '1'='1'; DROP TABLE studies; --",
    "script": SCRIPT,
    "markup in an attribute": f'"><img src=x onerror="{MARK}">',
    "template": "{{7*7}}${7*7}<%= 7*7 %>#{7*7}",
    "log4shell": "${jndi:ldap://127.0.0.1:1/a}",
    "shell": "$(touch /tmp/x);`id`|id",
    "traversal": "../../../../etc/passwd",
    "traversal, encoded": "..%2f..%2f..%2fetc%2fpasswd",
    "traversal, encoded twice": "..%252f..%252fetc%252fpasswd",
    "traversal of Windows": "..\\..\\windows\\win.ini",
    "absolute path": "/etc/passwd",
    "NUL": "a\0.jpg",
    "new header": "a\r\nSet-Cookie: session=1",
    "format": "%s%n%x{0}{0.__class__}",
    "overlong": "a" * 5000,
    "right to left": "\u202egpj.exe",
    "fullwidth dots": "\uff0e\uff0e/\uff0e\uff0e",
    "prototype": "__proto__",
}


def request(
    line: bytes, *headers: bytes, body: bytes = b"", host: bytes | None = HOST, close: bool = True
) -> bytes:
    """A request of these headers, and of no Content-Length unless it has a body."""
    lines = [line + b" HTTP/1.1", *([host] if host else []), *headers]
    lines += [b"Content-Length: %d" % len(body)] if body else []
    lines += [b"Connection: close"] if close else []
    return b"\r\n".join([*lines, b"", b""]) + body


def get(target: bytes, *headers: bytes, host: bytes | None = HOST) -> bytes:
    """A GET."""
    return request(b"GET " + target, *headers, host=host)


def part(name: bytes, data: bytes, parameters: bytes = b"") -> bytes:
    """A part of a multipart body whose boundary is ``b``."""
    head = b'--b\r\nContent-Disposition: form-data; name="' + name + b'"' + parameters
    return head + b"\r\n\r\n" + data + b"\r\n"


def form(*parts: bytes, content_type: bytes = b"multipart/form-data; boundary=b") -> bytes:
    """A POST of the parts."""
    body = b"".join(parts) + b"--b--\r\n"
    return request(b"POST /v1/studies", b"Content-Type: " + content_type, body=body)


def document(metadata: bytes) -> bytes:
    """A POST of this metadata document and of an image that is none."""
    return form(part(b"metadata", metadata), part(b"image", b"x"))


def framed(*headers: bytes, body: bytes = b"") -> bytes:
    """A POST framed by these headers alone, a request behind it."""
    lines = (b"POST /v1/studies HTTP/1.1", HOST, b"Content-Type: image/png", *headers, b"", b"")
    return b"\r\n".join(lines) + body + SMUGGLED


def event(document: Any) -> bytes:
    """A POST of an S3 event."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return request(b"POST /v1/events/s3", b"Content-Type: application/json", body=body)


def s3_event(key: str) -> dict[str, Any]:
    """A valid event of an object of this key."""
    return {
        "id": "1",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "time": "2026-01-31T08:15:00Z",
        "detail": {"bucket": {"name": "radstream-images"}, "object": {"key": key}},
    }


def _percent(text: str) -> bytes:
    return b"".join(b"%%%02x" % byte for byte in text.encode())


def _texts() -> Iterator[tuple[str, bytes]]:
    """Each text wherever a sender can put one."""
    for name, text in TEXTS.items():
        raw, encoded = text.encode(), _percent(text)
        plain = raw.replace(b"\0", b"").replace(b"\r\n", b"%0d%0a")
        fields = ("study_id", "view", "timestamp", "patient_id", "body_part", "modality", "model")
        yield f"{name} in every field", document(json.dumps(dict.fromkeys(fields, text)).encode())
        yield f"{name} as a field", document(json.dumps({text: text}).encode())
        yield f"{name} as study_id in a path", get(b"/v1/studies/" + encoded)
        yield f"{name} below a study", get(b"/v1/studies/S/images/" + encoded + b"/heatmap.png")
        yield f"{name} as a label", get(b"/v1/studies/S/images/1/heatmap.png?label=" + encoded)
        yield f"{name} as a page", get(b"/v1/studies?after=" + encoded + b"&limit=" + encoded)
        yield f"{name} as a query", get(b"/docs?" + encoded + b"=" + encoded)
        yield f"{name} among the documentation", get(b"/docs/assets/" + encoded)
        yield f"{name} as a path", get(b"/" + encoded)
        yield f"{name} as a parked id", request(b"DELETE /v1/parked/" + encoded)
        yield f"{name} as a study to delete", request(b"DELETE /v1/studies/" + encoded)
        yield f"{name} as a file's name", form(part(b"image", b"x", b'; filename="%s"' % plain))
        yield f"{name} as a part's name", form(part(plain, b"x"))
        yield f"{name} as a Content-Type", form(content_type=plain)
        yield f"{name} in an event", event(s3_event(f"images/{text}.jpg") | {"source": text})
        for header in (b"X-Request-ID", b"traceparent", b"X-API-Key", b"Accept", b"Prefer"):
            yield f"{name} in {header.decode()}", get(b"/v1/studies", header + b": " + plain)


FRAMING: Mapping[str, bytes] = {
    "both lengths": framed(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "both lengths, turned": framed(
        b"Transfer-Encoding: chunked", b"Content-Length: 5", body=b"0\r\n\r\n"
    ),
    "two Content-Lengths": framed(b"Content-Length: 5", b"Content-Length: 6", body=b"hello"),
    "Content-Length twice": framed(b"Content-Length: 5", b"Content-Length: 5", body=b"hello"),
    "a list of Content-Lengths": framed(b"Content-Length: 5, 5", body=b"hello"),
    **{
        f"Content-Length of {value!r}": framed(b"Content-Length: " + value, body=b"hello")
        for value in (b"+5", b"-1", b"0x5", b"5 5", b"", b"5.0", b"1_0", b"5\x0b", b"9" * 400)
    },
    **{
        f"Transfer-Encoding of {value!r}": framed(b"Transfer-Encoding: " + value, body=b"0\r\n\r\n")
        for value in (
            *(b"xchunked", b"identity", b"chunked, identity", b"chunked, chunked"),
            *(b"gzip, chunked", b"identity, chunked", b"\x0bchunked", b"chunked;q=1", b'"chunked"'),
        )
    },
    "two Transfer-Encodings": framed(
        b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"
    ),
    "space before a colon": framed(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n"),
    "a folded header": framed(b"X-A: b\r\n Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "a folded length": framed(b"Transfer-Encoding:\r\n chunked", body=b"0\r\n\r\n"),
    "a bare LF": framed(b"X-A: b\nTransfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "a bare CR": framed(b"X-A: b\rTransfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "NUL in a header": framed(b"X-A: \0"),
    "NUL in a header's name": framed(b"X\0: b"),
    "a header of no name": framed(b": b"),
    "a header of no colon": framed(b"Transfer-Encoding chunked"),
    **{
        f"chunk of {size!r}": framed(
            b"Transfer-Encoding: chunked", body=size + b"\r\nhello\r\n0\r\n\r\n"
        )
        for size in (b"-5", b"0x5", b"F" * 17, b" 5", b"5 ", b"5;\0", b"", b"g", b"5_")
    },
    "a chunk that is longer than it says": framed(
        b"Transfer-Encoding: chunked", body=b"5\r\nhelloXX\r\n0\r\n\r\n"
    ),
    "chunks ended by LF": framed(b"Transfer-Encoding: chunked", body=b"5\nhello\n0\n\n"),
    "a length in the trailer": framed(
        b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\n"
    ),
    "no Host": get(b"/livez", host=None),
    "two Hosts": get(b"/livez", b"Host: evil.example"),
    **{
        f"Host of {value!r}": get(b"/livez", host=b"Host: " + value)
        for value in (b"[", b"[::1", b"a/b", b"evil@localhost", b"a b", b"\xbd", b"localhost:x")
    },
    "another host in the target": get(b"http://evil.example/livez"),
    "a target without a path": get(b"http://localhost"),
    "CONNECT": request(b"CONNECT localhost:80") + SMUGGLED,
    "a method that is none": request(b"SMUGGLE /livez"),
    "a method in lower case": request(b"get /livez"),
    "a method without end": request(b"G" * 100_000 + b" /livez"),
    "HTTP/2 at once": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a version that is none": b"GET /livez HTTP/9.9\r\n" + HOST + b"\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
    "a target in UTF-8": get("/v1/studies/é".encode()),
    "a target with a space": get(b"/v1/stu dies"),
    "a target with NUL": get(b"/v1/\0"),
    "a target with a backslash": get(b"\\v1\\studies"),
}

BOMBS: Mapping[str, bytes] = {
    "a long target": get(b"/" + b"a" * 200_000),
    "many headers": get(b"/livez", *(b"X-%d: y" % i for i in range(20_000))),
    "a long header": get(b"/livez", b"X: " + b"y" * 200_000),
    "a long header's name": get(b"/livez", b"X" * 200_000 + b": y"),
    "many trailers": framed(
        b"Transfer-Encoding: chunked",
        body=b"5\r\nhello\r\n0\r\n" + b"T: x\r\n" * 1_000_000,
    ),
    "a long trailer": framed(
        b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\nT: " + b"x" * 5_000_000
    ),
    "long extensions of chunks": framed(
        b"Transfer-Encoding: chunked",
        body=b"".join([b"1;" + b"x" * 1000 + b"\r\na\r\n"] * 2000) + b"0\r\n\r\n",
    ),
    "small chunks": framed(
        b"Transfer-Encoding: chunked", body=b"1\r\na\r\n" * 20_000 + b"0\r\n\r\n"
    ),
    "deep arrays": document(b"[" * 100_000 + b"]" * 100_000),
    "deep objects": document(b'{"a":' * 40_000 + b"1" + b"}" * 40_000),
    "deep annotations": document(b'{"annotations":' + b"[" * 1000 + b"]" * 1000 + b"}"),
    "a huge number": document(b'{"study_id":' + b"9" * 200_000 + b"}"),
    "a huge exponent": document(b'{"study_id":1e999999999}'),
    "no number": document(b'{"study_id":NaN}'),
    "names twice": document(b"{" + b",".join([b'"study_id":"S"'] * 15_000) + b"}"),
    "many names": document(b"{" + b",".join(b'"%d":1' % i for i in range(20_000)) + b"}"),
    "half a character": document(b'{"study_id":"\\ud800"}'),
    "overlong UTF-8": document(b'{"study_id":"\xc0\xae\xc0\xae\xc0\xaf"}'),
    "UTF-16": document('{"study_id":"S"}'.encode("utf-16")),
    "a document beyond its limit": document(b'{"a":"' + b"a" * 300_000 + b'"}'),
    "a deep event": event(b'{"detail":' * 20_000),
    "a huge number in an event": event(b'{"id":' + b"9" * 100_000 + b"}"),
    "a time beyond time": event(s3_event("images/a.jpg") | {"time": 1e300}),
    "an event beyond its limit": event(b" " * 300_000),
    "many parts": form(*[part(b"image", b"x")] * 1000),
    "the metadata thrice": form(*[part(b"metadata", b"{}")] * 3, part(b"image", b"x")),
    "a part in a part": form(
        b'--b\r\nContent-Disposition: form-data; name="image"\r\n'
        b"Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--\r\n"
    ),
    "a part of many headers": form(b"--b\r\n" + b"X: y\r\n" * 200_000 + b"\r\nx\r\n"),
    "a part of a long header": form(b"--b\r\nX: " + b"y" * 5_000_000 + b"\r\n\r\nx\r\n"),
    "a part of no name": form(b"--b\r\n\r\nx\r\n"),
    "a part of two names": form(
        b'--b\r\nContent-Disposition: form-data; name="metadata"; name="image"\r\n\r\nx\r\n'
    ),
    "a name of no charset": form(
        b"--b\r\nContent-Disposition: form-data; name*=bogus''%ff%fe\r\n\r\nx\r\n"
    ),
    "a disposition of semicolons": form(
        b"--b\r\nContent-Disposition: " + b";" * 100_000 + b"\r\n\r\nx\r\n"
    ),
    "almost boundaries": form(part(b"image", b"\r\n--" * 300_000)),
    "no boundary": form(part(b"image", b"x"), content_type=b"multipart/form-data"),
    "an empty boundary": form(content_type=b"multipart/form-data; boundary="),
    "a long boundary": form(content_type=b"multipart/form-data; boundary=" + b"b" * 50_000),
    "no end": request(
        b"POST /v1/studies",
        b"Content-Type: multipart/form-data; boundary=b",
        body=part(b"image", b"x"),
    ),
    "a number of 5000 digits": get(b"/v1/studies/S/images/" + b"9" * 5000 + b"/preview.png"),
    "a page of 5000 digits": get(b"/v1/studies?limit=" + b"9" * 5000),
    "many preferences": get(b"/v1/studies", b"Prefer: " + b",;=" * 15_000),
    "a long token": get(b"/v1/studies", b"Authorization: Bearer " + b"a." * 20_000),
    "many ranges": get(b"/docs/assets/swagger-ui.css", b"Range: bytes=0-" + b",1-" * 10_000),
    "many tags": get(b"/docs/assets/swagger-ui.css", b"If-None-Match: " + b'"a",' * 10_000),
    "a callback that is no URL": request(
        b"POST /v1/studies",
        *(b"Content-Type: image/png", b"Prefer: respond-async"),
        b"RadStream-Callback: https://[",
        body=b"x",
    ),
    "a callback to the cloud's own": request(
        b"POST /v1/studies",
        *(b"Content-Type: image/png", b"Prefer: respond-async"),
        b"RadStream-Callback: https://169.254.169.254/latest/meta-data/",
        body=b"x",
    ),
}


def texts() -> dict[str, bytes]:
    """Requests with each text wherever a sender can put one."""
    return dict(_texts())
