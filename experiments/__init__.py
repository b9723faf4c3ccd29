"""Accuracy: how the recipes were chosen, and how the model that ships in the package was made."""
