"""What is remembered of series, in memory and in the state directory."""
