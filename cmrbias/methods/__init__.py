"""Self-supervised methods, one readable file each."""
