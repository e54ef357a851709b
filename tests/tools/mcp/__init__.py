"""Tool servers: real ones, and ones that misbehave."""
