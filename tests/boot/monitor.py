#!/usr/bin/env python3
"""Gives one command to QEMU's monitor: monitor.py SOCKET COMMAND."""
import socket
import sys

PROMPT = b"(qemu) "


def until_prompt(monitor):
    """What the monitor says until it waits for a command."""
    said = b""
    while not said.endswith(PROMPT):
        more = monitor.recv(4096)
        if not more:
            sys.exit("monitor.py: QEMU has ended")
        said += more
    return said


def main():
    path, command = sys.argv[1:]
    with socket.socket(socket.AF_UNIX) as monitor:
        monitor.settimeout(30)
        monitor.connect(path)
        until_prompt(monitor)
        monitor.sendall(command.encode() + b"\n")
        until_prompt(monitor)


main()
