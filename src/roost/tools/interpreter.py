"""The process in which one script of code mode runs: JavaScript inside, lines of JSON outside.

The server starts this file by its path, `python -I -S interpreter.py FOLDER`, where FOLDER has the
engine's library.  The first line of its input is `{"script", "tools"}`; then come answers to calls.
What it writes: `{"log", "text"}`, `{"call", "arguments"}` (and waits for the answer, `{"value"}` or
`{"error"}`), and at last `{"value"}` or `{"error"}`.
"""

import json
import resource
import sys
from contextlib import suppress
from typing import Any

MEMORY = 64 << 20  # bytes of the script's objects
STACK = 512 << 10  # bytes of its stack
WALLS = {
    resource.RLIMIT_AS: 1 << 30,  # bytes of address space
    resource.RLIMIT_CPU: 120,  # seconds of processor time, where the server is dead and can't stop it
    resource.RLIMIT_FSIZE: 0,
    resource.RLIMIT_CORE: 0,
}
LOGGED = 64 << 10  # characters of each of stdout and stderr
LONGEST = 1 << 20  # characters of a value, and of a call's arguments
DEEPEST = 400  # levels of a value
WORDS = 2_000  # characters of what went wrong
SPEECHLESS = "the script failed without a word; most likely it ran out of memory"  # saying more takes memory

# Takes the one function of ours out of the script's sight, and puts the tools and the console into it.
PRELUDE = """\
(function (names) {
  "use strict";
  const host = globalThis.__host, parse = JSON.parse, stringify = JSON.stringify;
  delete globalThis.__host;
  const show = (value) => {
    if (typeof value === "string") return value;
    if (value instanceof Error) return String(value);
    try { const text = stringify(value); return text === undefined ? String(value) : text; }
    catch (error) { return String(value); }
  };
  const log = (stream) => (...values) => { host(stringify({log: stream, text: values.map(show).join(" ") + "\\n"})); };
  const [out, err] = [log("out"), log("err")];
  globalThis.console = {log: out, info: out, debug: out, error: err, warn: err};
  for (const name of names) {
    const call = (given = {}) => {
      const answer = parse(host(stringify({call: name, arguments: given})));
      if (answer.error !== undefined) throw new Error(answer.error);
      return answer.value;
    };
    Object.defineProperty(globalThis, name, {value: call, enumerable: true});
  }
  const worded = (error) => {
    if (!(error instanceof Error)) return show(error);
    return `${error.name}: ${error.message}\\n${error.stack || ""}`.trim();
  };
  return {
    done: (value) => { host(stringify({value: value === undefined ? null : value})); },
    failed: (error) => { host(stringify({error: worded(error)})); },
  };
})
"""


class Interpreter:
    """One script, from its text to its value."""

    def __init__(self, context: Any) -> None:
        self._context = context
        self._left = {"out": LOGGED, "err": LOGGED}
        self._ended = False

    def run(self, script: str, tools: list[str]) -> None:
        """Run it; the last line says what it came to."""
        self._context.add_callable("__host", self._host)
        try:
            self._context.set("__names", json.dumps(tools))
            self._context.eval(
                f"globalThis.__end = {PRELUDE}(JSON.parse(globalThis.__names)); delete globalThis.__names; 0"
            )
            self._context.eval(
                "(function (end, main) { delete globalThis.__end; main().then(end.done).catch(end.failed); })"
                f"(globalThis.__end, async function () {{ {script}\n}}); 0"
            )
            while not self._ended and self._context.execute_pending_job():
                pass
        except Exception as error:  # whatever the engine makes of a script
            self._end({"error": str(error).removesuffix("\nundefined").strip()})
        self._end({"error": "the script ended while it waited for a promise that nothing keeps"})

    def _end(self, answer: dict[str, Any]) -> None:
        if self._ended:
            return
        self._ended = True
        if "error" in answer:
            words = answer["error"][:WORDS]
            answer = {"error": words if words not in ("", "null") else SPEECHLESS}
        write(answer)

    def _host(self, text: str) -> str:
        """What the script's side of us sends: something for the console, a call, or the end."""
        try:
            said = json.loads(text)
        except RecursionError:
            said = {"error": f"what it passes on is nested more than about {DEEPEST} levels deep"}
        if "log" in said:
            return self._log(said["log"], said["text"])
        if "call" in said:
            return self._call(said, len(text))
        if "value" in said and len(text) > LONGEST:
            said = {"error": f"the returned value has more than {LONGEST} characters as JSON: return less"}
        self._end(said)
        return "null"

    def _log(self, stream: str, text: str) -> str:
        left = self._left[stream]
        if left > 0:
            self._left[stream] = left - len(text)
            write({"log": stream, "text": text if len(text) <= left else text[:left] + "\n[the rest is left out]\n"})
        return "null"

    def _call(self, said: dict[str, Any], length: int) -> str:
        given = said.get("arguments")
        if not isinstance(given, dict):
            return json.dumps({"error": f"{said['call']} takes one object with its arguments"})
        if length > LONGEST:
            return json.dumps({"error": f"the arguments have more than {LONGEST} characters as JSON"})
        if self._ended:
            return json.dumps({"error": "the script has ended"})
        write(said)
        answer = sys.stdin.readline()
        if not answer:
            sys.exit(0)  # the server is gone
        return answer


def write(said: dict[str, Any]) -> None:
    """One line for the server."""
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Read the order, close the walls, run the script."""
    sys.path.append(sys.argv[1])
    import _quickjs  # what FOLDER is for

    order = json.loads(sys.stdin.readline())
    sys.setrecursionlimit(DEEPEST + 50)  # the server reads each line, too, and stands deeper when it does
    for bound, most in WALLS.items():
        with suppress(ValueError, OSError):  # not every system has each of them
            resource.setrlimit(bound, (most, most))
    context = _quickjs.Context()
    context.set_memory_limit(MEMORY)
    context.set_max_stack_size(STACK)
    Interpreter(context).run(order["script"], order["tools"])


if __name__ == "__main__":
    main()
