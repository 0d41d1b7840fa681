# SPDX-License-Identifier: GPL-2.0-or-later
"""mod_sys: files and shell commands (spec dsm.md §5.1).

Commands run in a process of their own while only their call waits. They have the rights of the server: a script that puts caller input
into a command hands the caller a shell.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import shutil
import signal
import tempfile

from di.dsm.language.errors import DsmException
from di.dsm.language.library import Res, Var, action, condition
from di.dsm.language.model import Outcome
from di.dsm.language.numbers import c_long, unsigned
from di.dsm.run.engine import Run

log = logging.getLogger(__name__)

_REAP_S = 2.0
"""How long a command that was killed may take to be gone."""
MAX_OUTPUT_BYTES = 10_000_000
"""What a variable may hold of a command's output; a command that never stops writing must not fill the memory of all calls."""


def _done(run: Run, error: OSError | ValueError | None) -> None:
    if error is None:
        run.ok()
    else:
        run.fail("file", str(error))


@action("sys.mkdir")
def mkdir(run: Run, path: Res) -> None:
    """Create a folder."""
    try:
        os.mkdir(path, 0o775)
    except (OSError, ValueError) as error:
        return _done(run, error)
    return _done(run, None)


@action("sys.mkdirRecursive")
def mkdir_recursive(run: Run, path: Res) -> None:
    """Create a folder with its parents; one that exists is a success."""
    try:
        os.makedirs(path, 0o775, exist_ok=True)
    except (OSError, ValueError) as error:
        return _done(run, error)
    return _done(run, None)


@action("sys.rename")
def rename(run: Run, source: Res, target: Res) -> Outcome:
    """Rename, across file systems too; only the call waits while a file is copied to another one."""
    try:
        os.rename(source, target)
    except (OSError, ValueError) as error:
        if getattr(error, "errno", 0) == errno.EXDEV:
            return _move(run, source, target)
        _done(run, error)
    else:
        _done(run, None)
    return None


async def _move(run: Run, source: str, target: str) -> None:
    try:
        await asyncio.to_thread(_copy_and_delete, source, target)
    except OSError as error:
        return _done(run, error)
    return _done(run, None)


def _copy_and_delete(source: str, target: str) -> None:
    """Whoever looks at `target` sees the old file or the whole new one, as after a rename."""
    unfinished = f"{target}.{os.urandom(8).hex()}.part"
    try:
        shutil.copy2(source, unfinished)
        os.rename(unfinished, target)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(unfinished)
        raise
    os.unlink(source)


@action("sys.unlink")
def unlink(run: Run, path: Res) -> None:
    """Delete a file; an empty name is nothing."""
    if not path:
        return None
    try:
        os.unlink(path)
    except (OSError, ValueError) as error:
        return _done(run, error)
    return _done(run, None)


@action("sys.unlinkArray")
def unlink_array(run: Run, name: Res, prefix: Res) -> None:
    """Delete `prefix/$name_0` …; goes on after a failure."""
    count = unsigned(run.vars.get(f"{name}_size", ""))
    if count is None or count > 1_000_000:
        run.fail("arg", f"${name}_size must be a number")
        return
    failed: OSError | ValueError | None = None
    for index in range(count):
        try:
            os.unlink(f"{prefix}/{run.vars.get(f'{name}_{index}', '')}")
        except (OSError, ValueError) as error:
            failed = error
    _done(run, failed)


@action("sys.tmpnam")
def tmpnam(run: Run, target: Res) -> None:
    """Create an empty file with a new name."""
    try:
        handle, path = tempfile.mkstemp(prefix="sems_")
    except OSError as error:
        return _done(run, error)
    os.close(handle)
    run.vars[target] = path
    return _done(run, None)


@action("sys.popen", separator="=")
async def popen(run: Run, target: Var, command: Res) -> None:
    """Run a shell command, its output into the variable, its wait status into `.status`. Without its call it does not go on."""
    try:
        process = await asyncio.create_subprocess_shell(
            command, stdout=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.DEVNULL, start_new_session=True
        )
    except (OSError, ValueError) as error:
        raise DsmException("popen", cause=str(error)) from error
    try:
        output = await _output(process)
        code = await process.wait()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # what the shell has started too
            with contextlib.suppress(TimeoutError):  # something that left the group may hold the pipe
                await asyncio.wait_for(process.communicate(), _REAP_S)  # gives its descriptor back
    run.vars[target] = output.decode("utf-8", "surrogateescape")
    run.vars[f"{target}.status"] = str(code * 256 if code >= 0 else -code)


async def _output(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout is not None
    output = bytearray()
    while piece := await process.stdout.read(1 << 16):
        output += piece
        if len(output) > MAX_OUTPUT_BYTES:
            raise DsmException("popen", cause=f"the command writes more than {MAX_OUTPUT_BYTES} bytes; it was ended")
    return bytes(output)


@action("sys.getTimestamp")
def get_timestamp(run: Run, target: Res) -> None:
    """Time of day into `.tv_sec` and `.tv_usec`."""
    seconds, micros = divmod(run.session.hub.now_us(), 1_000_000)
    run.vars[f"{target}.tv_sec"], run.vars[f"{target}.tv_usec"] = str(seconds), str(micros)


@action("sys.subTimestamp")
def sub_timestamp(run: Run, first: Res, second: Res) -> None:
    """t1 := t1 − t2."""

    def micros(name: str) -> int:
        return (c_long(run.vars.get(f"{name}.tv_sec", "")) or 0) * 1_000_000 + (c_long(run.vars.get(f"{name}.tv_usec", "")) or 0)

    difference = micros(first) - micros(second)
    seconds, rest = divmod(difference, 1_000_000)
    run.vars[f"{first}.tv_sec"], run.vars[f"{first}.tv_usec"] = str(seconds), str(rest)
    run.vars[f"{first}.msec"] = str(difference // 1000)


def _readable(path: str) -> bool:
    with contextlib.suppress(OSError, ValueError):
        return os.path.isfile(path) and os.access(path, os.R_OK)
    return False


@condition("sys.file_exists")
def file_exists(run: Run, path: Res) -> bool:
    """A readable file."""
    return _readable(path)


@condition("sys.file_not_exists")
def file_not_exists(run: Run, path: Res) -> bool:
    """No readable file."""
    return not _readable(path)


@condition("sys.system")
async def system(run: Run, command: Res) -> bool:
    """Exit status 0 is true, 1 is false, anything else false with a line in the log."""
    try:
        process = await asyncio.create_subprocess_shell(command, stdin=asyncio.subprocess.DEVNULL)
        code = await process.wait()
    except (OSError, ValueError) as error:
        log.error("%s: sys.system cannot run: %s", run.session.id, error)
        return False
    if code not in (0, 1):
        log.error("%s: sys.system: a command ended with status %d", run.session.id, code)
    return code == 0
