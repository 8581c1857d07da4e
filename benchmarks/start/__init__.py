"""What offbeat costs before it scores, and what it keeps in memory while it does."""
