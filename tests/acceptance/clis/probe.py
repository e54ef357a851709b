"""What an agent's tool looks at from inside: `python probe.py OUT LOOK…`, where a LOOK is a path or host:port."""

import json
import os
import socket
import sys
from pathlib import Path


def seen(name: str) -> str:
    path = Path(name)
    try:
        if path.is_dir():
            return f"folder with {sum(1 for entry in path.iterdir() if entry.is_file())} files"
        return f"file of {len(path.read_bytes())} bytes"
    except OSError as error:
        return type(error).__name__


def reached(address: str) -> str:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), 3) as found:
            found.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return "reached" if found.recv(1) else "hung up"
    except OSError as error:
        return type(error).__name__


def main() -> None:
    out, *looks = sys.argv[1:]
    told = {look: seen(look) if "/" in look else reached(look) for look in looks}
    told |= {"HOME": os.environ.get("HOME", ""), "env": sorted(os.environ)}
    Path(out).write_text(json.dumps(told))


if __name__ == "__main__":
    main()
