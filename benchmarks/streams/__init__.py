"""Rows of thousands of series a second through ScorePoints: latency, and what the server's processor has left."""
