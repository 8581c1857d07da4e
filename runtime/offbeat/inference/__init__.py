"""The Open Inference Protocol v2, generated from proto/offbeat/inference."""
