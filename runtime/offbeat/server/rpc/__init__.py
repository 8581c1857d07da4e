"""The gRPC services, and everything between a socket and a request."""
