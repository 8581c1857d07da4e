"""Which models are served: the repository, its versions, and their way into service and out of it."""
