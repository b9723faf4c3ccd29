"""Addresses such as s3://bucket/a.png: their files listed, read and written by fsspec, with retries."""
