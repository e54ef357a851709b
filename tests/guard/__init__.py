"""A real server in a process of its own, attacked from outside."""
