"""What is written: whole files or none, and rows in their formats."""
