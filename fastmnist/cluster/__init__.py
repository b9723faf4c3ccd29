"""A job on several machines, by Dask's `distributed` (the extra `dask`)."""
