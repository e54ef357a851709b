"""What people write: settings and agent files."""
