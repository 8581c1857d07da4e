"""Benchmarks: latency of the engines, and detection quality."""
