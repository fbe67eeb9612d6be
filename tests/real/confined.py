#!/usr/bin/python3
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""confined.py UNIT COMMAND...: runs it under what a systemd unit says of system calls and of memory
that is writable and executable, where no systemd runs: SystemCallFilter, RestrictNamespaces=yes (by
refusing setns and unshare whole) and MemoryDenyWriteExecute=yes. What is refused gets EPERM, as
SystemCallErrorNumber says. x86-64; needs no_new_privs, which it sets."""
import ctypes
import os
import re
import struct
import subprocess
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, PR_SET_MDWE = 38, 22, 65
SECCOMP_MODE_FILTER, MDWE_REFUSE_EXEC_GAIN = 2, 1
ALLOW, EPERM, KILL = 0x7FFF0000, 0x00050001, 0x80000000
LOAD_WORD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06
AUDIT_ARCH_X86_64 = 0xC000003E


def members(name):
    """The system calls of a set such as @system-service, those of sets in it included."""
    if not name.startswith("@"):
        return {name}
    text = subprocess.run(["systemd-analyze", "--no-pager", "syscall-filter", name],
                          check=True, capture_output=True, text=True).stdout
    found = set()
    for word in re.findall(r"^\s+([@a-z0-9_-]+)$", text, re.M):
        found |= members(word)
    return found


def read_unit(path):
    """As systemd: the first line allows, those with ~ take away again."""
    allowed = set()
    with open(path) as f:
        unit = f.read()
    for line in re.findall(r"^SystemCallFilter=(.*)$", unit, re.M):
        names = set().union(*(members(name) for name in line.lstrip("~").split()))
        allowed = allowed - names if line.startswith("~") else allowed | names
    assert "RestrictNamespaces=yes" in unit and "MemoryDenyWriteExecute=yes" in unit
    return (allowed | members("@default")) - {"setns", "unshare"}


def numbers():
    with open("/usr/include/x86_64-linux-gnu/asm/unistd_64.h") as f:
        return {name: int(number)
                for name, number in re.findall(r"#define __NR_(\w+) (\d+)", f.read())}


def build_filter(allowed):
    known = numbers()
    code = [(LOAD_WORD, 0, 0, 4), (JUMP_EQUAL, 1, 0, AUDIT_ARCH_X86_64), (RETURN, 0, 0, KILL),
            (LOAD_WORD, 0, 0, 0)]
    for number in sorted(known[name] for name in allowed if name in known):
        code += [(JUMP_EQUAL, 0, 1, number), (RETURN, 0, 0, ALLOW)]
    code.append((RETURN, 0, 0, EPERM))
    return b"".join(struct.pack("=HBBI", *row) for row in code), len(code)


class Program(ctypes.Structure):
    _fields_ = [("count", ctypes.c_ushort), ("code", ctypes.c_char_p)]


def main():
    code, count = build_filter(read_unit(sys.argv[1]))
    libc = ctypes.CDLL(None, use_errno=True)
    program = Program(count, code)
    # Before 6.3 there is no MDWE.
    libc.prctl(PR_SET_MDWE, MDWE_REFUSE_EXEC_GAIN, 0, 0, 0)
    for arguments in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
                      (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0)):
        if libc.prctl(*arguments):
            sys.exit(f"confined.py: prctl: {os.strerror(ctypes.get_errno())}")
    os.execvp(sys.argv[2], sys.argv[2:])


main()
