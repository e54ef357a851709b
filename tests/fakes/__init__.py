"""Stand-ins for the world, as honest as the real thing."""
