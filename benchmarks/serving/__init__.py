"""Latency and throughput of the server, beside a bare echo of the same bytes in the same run."""
