"""Files that come with the package: the demo agent, and what `roost model install` installs."""
