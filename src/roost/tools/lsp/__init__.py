"""The toolset `lsp`: what language servers know of the code."""
