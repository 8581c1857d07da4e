"""The server near its capacity for minutes, and then far above it."""
