# SPDX-License-Identifier: GPL-2.0-or-later
"""What a process takes from itself before it imports a line of an application: limits, and the way to more rights."""

from __future__ import annotations

import ctypes
import logging
import os
import resource

log = logging.getLogger("app")
_PR_SET_NO_NEW_PRIVS = 38
"""prctl(2): no program that it starts gets rights by a set-user-id bit or a file's capabilities."""


def confine(memory_mb: int = 0, open_files: int = 0, file_mb: int = 0, nice: int = 0, user: tuple[int, int] = (0, 0)) -> None:
    """Set limits that only become narrower; 0 leaves one as it is. No core is dumped: it would hold what callers said.

    `user`: numbers of a user and a group to become, for good; (0, 0): as it is. Raises OSError when that cannot be done.
    """
    limits = {resource.RLIMIT_AS: memory_mb << 20, resource.RLIMIT_NOFILE: open_files, resource.RLIMIT_FSIZE: file_mb << 20}
    for kind, wanted in {**limits, resource.RLIMIT_CORE: 0}.items():
        most = resource.getrlimit(kind)[1]
        if wanted or kind == resource.RLIMIT_CORE:
            limit = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
            resource.setrlimit(kind, (limit, limit))
    if nice:
        os.nice(nice)
    uid, gid = user
    if uid:
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
        os.umask(0o077)
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        log.warning("the process may still get further rights: prctl says %s", os.strerror(ctypes.get_errno()))
