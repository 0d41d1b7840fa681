# SPDX-License-Identifier: GPL-2.0-or-later
"""The panel's files, as they are sent. Pure but for `read_files`, which reads all of them when the server starts.

What is served is a table of exact paths: no request ever becomes a path of the file system, so there is nothing to traverse. Each file has a
strong ETag of its content and must be asked for again (a new release shows at once); unchanged it costs a 304 without a body.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_ZERO = re.compile(r"q=0(\.0*)?")

PANEL = Path(__file__).resolve().parents[2] / "clients" / "panel"

TYPES: Mapping[str, str] = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
"""By suffix; what has another one is not served."""

SECURITY_HEADERS: Mapping[str, str] = {
    # Own files only, nothing inline; text never becomes markup but by the one named policy, which takes drawings of this server
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types diagram",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class FileReply:
    """Status, headers and body of a reply."""

    status: int
    headers: dict[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file. `packed` is its gzip form, empty when that saves nothing."""

    content_type: str
    body: bytes
    packed: bytes
    etag: str

    @classmethod
    def of(cls, content_type: str, body: bytes) -> StaticFile:
        """Prepare a file to be sent."""
        packed = gzip.compress(body, 9, mtime=0)
        return cls(content_type, body, packed if len(packed) < len(body) else b"", hashlib.sha256(body).hexdigest()[:32])


class StaticFiles:
    """Files by the path at which they are asked for."""

    def __init__(self, files: Mapping[str, StaticFile] | None = None) -> None:
        self._files = dict(files or {})

    def paths(self) -> Iterable[str]:
        """Every path that answers."""
        return tuple(self._files)

    def answer(self, path: str, if_none_match: str = "", accept_encoding: str = "") -> FileReply:
        """The reply to GET or HEAD (the shell leaves the body out)."""
        file = self._files.get(path)
        if file is None:
            return FileReply(404, {"Content-Type": "text/plain; charset=utf-8"}, b"not found\n")
        pack = bool(file.packed) and accepts_gzip(accept_encoding)
        etag = f'"{file.etag}{"-gz" if pack else ""}"'
        headers = {**SECURITY_HEADERS, "ETag": etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
        if if_none_match.strip() == "*" or etag in [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]:
            return FileReply(304, headers)
        headers["Content-Type"] = file.content_type
        if pack:
            headers["Content-Encoding"] = "gzip"
        return FileReply(200, headers, file.packed if pack else file.body)


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether an Accept-Encoding names gzip and does not give it the weight 0 (RFC 9110 §12.5.3)."""
    for part in accept_encoding.lower().split(","):
        name, _, weight = part.partition(";")
        if name.strip() == "gzip":
            return _ZERO.fullmatch(weight.replace(" ", "")) is None
    return False


def read_files(folder: Path, prefix: str = "/panel/") -> StaticFiles:
    """Every file below `folder` whose type is known, at `prefix` and its relative path; index.html also at `/`."""
    files: dict[str, StaticFile] = {}
    for path in sorted(folder.rglob("*")):
        content_type = TYPES.get(path.suffix)
        if content_type is not None and path.is_file():
            files[prefix + path.relative_to(folder).as_posix()] = StaticFile.of(content_type, path.read_bytes())
    index = files.pop(f"{prefix}index.html", None)
    return StaticFiles({"/": index, **files} if index is not None else files)
