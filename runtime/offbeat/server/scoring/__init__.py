"""From a request to its scores: requests in any protocol's terms, queues, batches and the threads that compute."""
