"""The built-in toolsets."""
