"""Benchmarks behind every published figure."""
