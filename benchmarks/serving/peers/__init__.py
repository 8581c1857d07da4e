"""The server beside other servers of the same model; docs/benchmarks.md tells how."""
