"""A model as a file of another form: for other programs to run."""
