"""LLM APIs behind `ports.Provider`, one a file."""
