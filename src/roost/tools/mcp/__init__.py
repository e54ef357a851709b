"""The toolset `mcp`: tools that live in servers of the Model Context Protocol."""
