"""How people of other places prove who they are."""
