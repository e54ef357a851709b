"""The words that are exchanged with language servers: what we can, and what their numbers mean."""

from collections.abc import Mapping
from typing import Any, Final

CAPABILITIES: Final[Mapping[str, Any]] = {
    "general": {"positionEncodings": ["utf-32", "utf-16", "utf-8"]},
    "workspace": {
        "workspaceFolders": True,
        "configuration": True,
        "applyEdit": False,
        "workspaceEdit": {"documentChanges": True},
        "symbol": {},
    },
    "textDocument": {
        "synchronization": {"didSave": True},
        "hover": {"contentFormat": ["markdown", "plaintext"]},
        "definition": {"linkSupport": True},
        "implementation": {"linkSupport": True},
        "references": {},
        "documentSymbol": {"hierarchicalDocumentSymbolSupport": True},
        "signatureHelp": {"signatureInformation": {"documentationFormat": ["plaintext"]}},
        "codeAction": {
            "codeActionLiteralSupport": {
                "codeActionKind": {"valueSet": ["quickfix", "refactor", "source", "source.organizeImports"]}
            }
        },
        "callHierarchy": {},
        "typeHierarchy": {},
        "inlayHint": {},
        "rename": {},
        "formatting": {},
        "publishDiagnostics": {"versionSupport": True},
        "diagnostic": {},
    },
}
"""What we tell a server at its start."""

SYMBOLS: Final = (
    "file", "module", "namespace", "package", "class", "method", "property", "field", "constructor", "enum",
    "interface", "function", "variable", "constant", "string", "number", "boolean", "array", "object", "key", "null",
    "enum-member", "struct", "event", "operator", "type-parameter",
)  # fmt: skip
"""The kinds of symbols, from 1."""

SEVERITIES: Final = ("error", "warning", "information", "hint")
"""From 1."""

_LANGUAGES: Final[Mapping[str, str]] = {
    "bash": "shellscript",
    "bat": "bat",
    "cc": "cpp",
    "cjs": "javascript",
    "clj": "clojure",
    "cs": "csharp",
    "cxx": "cpp",
    "erl": "erlang",
    "ex": "elixir",
    "exs": "elixir",
    "fs": "fsharp",
    "h": "c",
    "hh": "cpp",
    "hpp": "cpp",
    "hs": "haskell",
    "htm": "html",
    "js": "javascript",
    "jsx": "javascriptreact",
    "kt": "kotlin",
    "kts": "kotlin",
    "m": "objective-c",
    "md": "markdown",
    "mjs": "javascript",
    "ml": "ocaml",
    "mts": "typescript",
    "pl": "perl",
    "ps1": "powershell",
    "py": "python",
    "pyi": "python",
    "rb": "ruby",
    "rs": "rust",
    "sh": "shellscript",
    "tex": "latex",
    "tf": "terraform",
    "ts": "typescript",
    "tsx": "typescriptreact",
    "yml": "yaml",
}


def language(suffix: str) -> str:
    """What servers call the language of files with this suffix (`.py`)."""
    name = suffix.removeprefix(".").lower()
    return _LANGUAGES.get(name, name or "plaintext")


def symbol(kind: Any) -> str:
    """What a kind of symbol is called."""
    return SYMBOLS[kind - 1] if isinstance(kind, int) and 0 < kind <= len(SYMBOLS) else "symbol"


def severity(number: Any) -> str:
    """How grave a diagnostic is; those that do not say are errors."""
    return SEVERITIES[number - 1] if isinstance(number, int) and 0 < number <= len(SEVERITIES) else "error"
