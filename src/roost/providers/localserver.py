"""The child process behind the provider `local`: llama.cpp's server over one file of weights.

Started as a program of its own, with nothing of ours imported.  One line of JSON comes in by stdin
(`weights`, `key`, `context`, `parent`), one goes out by stdout (`url`).  It ends when stdin does, and
on Linux also by the kernel's hand when its parent dies.
"""

import ctypes
import json
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Ask the kernel for a signal at the parent's death, and go at once where that has been already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the parent is gone")


def main() -> None:
    """Serve until stdin ends."""
    given = json.loads(sys.stdin.buffer.readline())
    die_with(given["parent"])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C in the terminal is for our parent to handle
    import xllamacpp  # 30 MB, and only this process wants it

    params = xllamacpp.CommonParams()
    params.model.path = given["weights"]
    params.model_alias = {given["alias"]}
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.api_keys = [given["key"]]
    params.n_ctx, params.n_parallel, params.warmup = given["context"], 1, False
    params.cpuparams.n_threads = min(os.cpu_count() or 1, 8)
    params.use_jinja = True
    params.ui = False
    server = xllamacpp.Server(params)
    sys.stdout.write(json.dumps({"url": server.listening_address}) + "\n")
    sys.stdout.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)  # it talks a lot, and nobody reads
    sys.stdin.buffer.read()
    os._exit(0)  # requests may be under way; nobody waits for them


if __name__ == "__main__":
    main()
