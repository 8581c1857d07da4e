"""What each rewrite of the exported graph is worth, side by side in one run."""
