"""Guards at the boundaries: what must hold of the raw events, and of the views that are built from them."""
