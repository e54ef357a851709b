"""The toolset `skills`: what an agent can read up on when it needs it."""
