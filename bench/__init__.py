"""How fast Roost is, and where its time goes; see README.md."""
