"""What the server notices of its work: counts, histograms, drift, traces and lines for the log."""
