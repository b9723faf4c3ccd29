"""One picture -> one digit in MNIST's form."""
