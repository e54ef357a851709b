"""The built-in toolsets, one a file."""
