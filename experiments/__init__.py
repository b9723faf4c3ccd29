"""Accuracy: how the recipes were chosen, and how the shipped model was trained."""
