"""The panes of a report, each prepared as a chart that says all and draws nothing."""
