"""Pictures of numbers: which ink is a digit, in which order, and what they say together."""
