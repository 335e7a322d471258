"""What surrounds agents on this machine: bubblewrap, util-linux's namespaces, landlock."""
