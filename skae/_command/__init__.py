"""What ``python -m skae`` does."""
