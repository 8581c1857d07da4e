"""offbeat.v1, generated from proto/offbeat/v1."""
