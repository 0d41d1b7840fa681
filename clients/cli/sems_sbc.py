# SPDX-License-Identifier: GPL-2.0-or-later
"""SEMS's programs for the sbc, by their names (spec applications.md §22.2).

    sems-sbc-list-profiles                sems-sbc-get-activeprofile                sems-sbc-get-regex-map-names
    sems-sbc-reload-profiles              sems-sbc-set-activeprofile <a,b>          sems-sbc-set-regex-map <name> <file>
    sems-sbc-reload-profile <name>        sems-sbc-load-profile <name> <file>       sems-sbc-load-callcontrol-modules <a;b>
    sems-sbc-teardown-call <ltag>

All take `--url URL` (default http://localhost:8090) and the variable CORDBOARD_TOKEN, and print what the server answers. They exit 0 when it
has done what was asked, 2 when it has not, 1 when there is no answer.
"""

from __future__ import annotations

import os
import pprint
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from clients.rpc import RpcError, XmlRpc

DEFAULT_URL = "http://localhost:8090"


@dataclass(frozen=True, slots=True)
class SbcProgram:
    """`members`: names of the arguments, put into one structure; without `structure` they are plain arguments. `more`: further ones."""

    function: str
    members: tuple[str, ...] = ()
    structure: bool = True
    more: tuple[str, ...] = ()

    def arguments(self, words: Sequence[str]) -> list[object]:
        """What the function is called with."""
        if not self.members:
            return []
        return [dict(zip(self.members, words, strict=True))] if self.structure else [*words, *self.more]


PROGRAMS = {
    "sems-sbc-list-profiles": SbcProgram("listProfiles"),
    "sems-sbc-reload-profiles": SbcProgram("reloadProfiles"),
    "sems-sbc-reload-profile": SbcProgram("reloadProfile", ("name",)),
    "sems-sbc-load-profile": SbcProgram("loadProfile", ("name", "path")),
    "sems-sbc-get-activeprofile": SbcProgram("getActiveProfile"),
    "sems-sbc-set-activeprofile": SbcProgram("setActiveProfile", ("active_profile",)),
    "sems-sbc-get-regex-map-names": SbcProgram("getRegexMapNames"),
    "sems-sbc-set-regex-map": SbcProgram("setRegexMap", ("name", "file")),
    "sems-sbc-load-callcontrol-modules": SbcProgram("loadCallcontrolModules", ("modules",), structure=False),
    "sems-sbc-teardown-call": SbcProgram("postControlCmd", ("ltag",), structure=False, more=("teardown",)),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program named by the first argument; returns its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    name = os.path.basename(words[0]) if words else ""
    program = PROGRAMS.get(name)
    if program is None:
        print(f"usage: one of {', '.join(PROGRAMS)}", file=sys.stderr)
        return 1
    url, rest = _url(words[1:])
    if not url or len(rest) != len(program.members) or any(word.startswith("--") for word in rest):
        shown = "".join(f" <{member}>" for member in program.members)
        print(f"usage: {name}{shown} [--url <url>]", file=sys.stderr)
        return 1
    try:
        with XmlRpc(url, os.environ.get("CORDBOARD_TOKEN", "")) as server:
            answer = server.call("di", "sbc", program.function, *program.arguments(rest))
    except (RpcError, ValueError) as error:
        print(f"Error calling {error}", file=sys.stderr)
        return 1
    pprint.PrettyPrinter(indent=4).pprint(answer)
    return 0 if _done(answer) else 2


def _url(words: list[str]) -> tuple[str, list[str]]:
    """The server, empty when its name is missing, and the other words."""
    if "--url" not in words:
        return DEFAULT_URL, words
    at = words.index("--url")
    return (words[at + 1] if at + 1 < len(words) else ""), words[:at] + words[at + 2 :]


def _done(answer: object) -> bool:
    """Whether an answer `[code, text, …]` is that of something done; a list of profiles is."""
    code = answer[0] if isinstance(answer, list) and answer else 200
    return not isinstance(code, int) or 200 <= code < 300


if __name__ == "__main__":
    sys.exit(main())
