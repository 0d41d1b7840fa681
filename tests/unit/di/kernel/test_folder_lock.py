# SPDX-License-Identifier: GPL-2.0-or-later
"""One at a time, and none after the holder's death."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from di.kernel.folder_lock import FolderLock


def test_a_second_one_is_kept_out_until_the_first_has_gone(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path / "queue")
    with pytest.raises(OSError, match="another server uses"):
        FolderLock(tmp_path / "queue")
    lock.release()
    FolderLock(tmp_path / "queue").release()


def test_who_is_killed_holds_nothing(tmp_path: Path) -> None:
    program = "import sys; from pathlib import Path; from di.kernel.folder_lock import FolderLock as Lock; lock = Lock(Path(sys.argv[1]));"
    program += "print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(OSError, match="another server uses"):
            FolderLock(tmp_path)
        holder.send_signal(signal.SIGKILL)
    FolderLock(tmp_path).release()
