"""Where logs live: one file a maker of `ports.EventStore`."""
