"""Precisions: size, latency and detection quality of variants beside their float32 models."""
