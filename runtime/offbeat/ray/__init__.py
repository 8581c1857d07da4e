"""offbeat on a Ray cluster. Needs ray: `pip install 'offbeat[ray]'`."""
