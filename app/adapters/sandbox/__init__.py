"""The sandboxes of this machine: bubblewrap, util-linux's namespaces, landlock."""
