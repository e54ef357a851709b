"""The toolset `a2a`: agents elsewhere, over the Agent2Agent protocol."""
