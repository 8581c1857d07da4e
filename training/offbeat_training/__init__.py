"""Training of reconstruction autoencoders: architectures, fitting, thresholds, evaluation."""
