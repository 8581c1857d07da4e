"""The native core beside other engines, one call each in turns; docs/benchmarks.md tells how."""
