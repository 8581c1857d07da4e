"""Detection quality on the acceptance sets, a model beside its baselines."""
