"""Detection quality."""
