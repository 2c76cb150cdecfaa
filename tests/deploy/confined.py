"""Becomes a command under what the service unit forbids: system calls, and memory that can be written and executed.

    python -m tests.deploy.confined SYSTEM-CALLS COMMAND...

SYSTEM-CALLS is a file of names. It stands for systemd, which needs to be a machine's first process; libseccomp, which
systemd uses too, and the kernel do the work.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

_EPERM = 1
_ERRNO, _ALLOW = 0x00050000 | _EPERM, 0x7FFF0000  # of seccomp.h
_SET_MDWE, _MDWE_REFUSE_EXEC_GAIN = 65, 1  # of linux/prctl.h, from 6.3 on


def confine(names: list[str]) -> None:
    """This process, and whatever it becomes, is allowed these system calls alone; any other fails with EPERM.

    Raises:
        OSError: the kernel has no such thing.
    """
    seccomp = ctypes.CDLL("libseccomp.so.2")
    seccomp.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(seccomp.seccomp_init(_ERRNO))
    for name in names:
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:  # another machine's, else
            seccomp.seccomp_rule_add(context, _ALLOW, number, 0)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_SET_MDWE, _MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) or seccomp.seccomp_load(context):
        raise OSError(ctypes.get_errno(), "the kernel cannot confine")


if __name__ == "__main__":
    confine(Path(sys.argv[1]).read_text().split())
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - its purpose
