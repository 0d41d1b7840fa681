# SPDX-License-Identifier: GPL-2.0-or-later
"""Compiles the shim against pjproject's headers: `python build.py FOLDER`, with the compiler's flags in CFLAGS and LDFLAGS.

The module stands beside `_pjsua2` in FOLDER and is linked to it, since that holds pjsip: there is one copy of the library in a process.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
import tempfile
from pathlib import Path

from cffi import FFI

HERE = Path(__file__).resolve().parent
NAME = "_cordboard_pjsip"
SOURCES = ("stack.c", "messages.c", "calls.c", "codecs.c", "names.c", "told.c", "trying.c")
CALLBACKS = """
extern "Python" {
    int shim_on_request(void *received);
    int shim_on_leaving(void *sending);
    int shim_on_connection(void *connection, int up, const char *ip);
    void shim_on_too_long(const char *ip, int port);
    int shim_on_unreadable(char *data, int length);
    void shim_on_name(int number, const char *name);
    void shim_on_answer(int token, int how, void *received);
    void shim_on_body(void *received, int kind, const char *body, int length);
    void shim_on_message(void *packet);
    void shim_on_invite(int call, void *received);
    void shim_on_call_state(intptr_t object, int state, int code, const char *reason, int length, void *received);
    void shim_on_replied(intptr_t object, int code, const char *text, int length);
    void shim_on_media(intptr_t object, const shim_stream *stream);
    void shim_on_description(intptr_t object, const char *text, int length);
}
void shim_connect(void);
"""
GLUE = """
#include "shim.h"
/* cffi would give the interpreter away around each function; but what pjsip calls from inside one, its log writer and pjsua2's callbacks,
 * is Python again, made by SWIG without threads: it takes the interpreter for granted. */
#undef Py_BEGIN_ALLOW_THREADS
#undef Py_END_ALLOW_THREADS
#define Py_BEGIN_ALLOW_THREADS {
#define Py_END_ALLOW_THREADS }
static int shim_on_request(void *), shim_on_leaving(void *), shim_on_connection(void *, int, const char *);
static void shim_on_too_long(const char *, int), shim_on_answer(int, int, void *), shim_on_body(void *, int, const char *, int);
static int shim_on_unreadable(char *, int);
static void shim_on_name(int, const char *), shim_on_message(void *);
static void shim_on_invite(int, void *), shim_on_call_state(intptr_t, int, int, const char *, int, void *);
static void shim_on_replied(intptr_t, int, const char *, int), shim_on_media(intptr_t, const shim_stream *);
static void shim_on_description(intptr_t, const char *, int);
void (*shim_call_invite)(int, void *);
void (*shim_call_call_state)(intptr_t, int, int, const char *, int, void *);
void (*shim_call_replied)(intptr_t, int, const char *, int);
void (*shim_call_media)(intptr_t, const shim_stream *);
void (*shim_call_description)(intptr_t, const char *, int);
void (*shim_call_message)(void *);
void (*shim_call_name)(int, const char *);
int (*shim_call_unreadable)(char *, int);
int (*shim_call_request)(void *), (*shim_call_leaving)(void *), (*shim_call_connection)(void *, int, const char *);
void (*shim_call_too_long)(const char *, int), (*shim_call_answer)(int, int, void *);
void (*shim_call_body)(void *, int, const char *, int);
static void shim_connect(void) {
    shim_call_request = shim_on_request; shim_call_leaving = shim_on_leaving; shim_call_connection = shim_on_connection;
    shim_call_too_long = shim_on_too_long; shim_call_answer = shim_on_answer; shim_call_unreadable = shim_on_unreadable;
    shim_call_body = shim_on_body; shim_call_name = shim_on_name;
    shim_call_message = shim_on_message; shim_call_invite = shim_on_invite; shim_call_call_state = shim_on_call_state;
    shim_call_replied = shim_on_replied; shim_call_media = shim_on_media; shim_call_description = shim_on_description;
}
"""


def build(folder: Path) -> Path:
    """Compile and link. Raises what cffi and the compiler raise."""
    declared = re.sub(r"/\*.*?\*/", "", (HERE / "api.h").read_text(), flags=re.DOTALL)
    ffi = FFI()
    ffi.cdef(declared + CALLBACKS)
    stack = next(folder.glob("_pjsua2*.so"))
    ffi.set_source(
        NAME,
        GLUE,
        sources=[str(HERE / name) for name in SOURCES],
        include_dirs=[str(HERE)],
        extra_compile_args=[*shlex.split(os.environ.get("CFLAGS", "")), "-Wno-unused-parameter"],
        extra_link_args=[f"-L{folder}", f"-l:{stack.name}", "-Wl,-rpath,$ORIGIN", *shlex.split(os.environ.get("LDFLAGS", ""))],
    )
    with tempfile.TemporaryDirectory() as work:
        made = Path(ffi.compile(tmpdir=work))
        target = folder / made.name
        target.unlink(missing_ok=True)  # a process that runs keeps its own
        target.write_bytes(made.read_bytes())
    return target


if __name__ == "__main__":
    print(build(Path(sys.argv[1]).resolve()))
