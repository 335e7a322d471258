"""Rules of the issues board: the state of an issue, and the place of a dropped card."""
