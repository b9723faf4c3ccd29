"""Recipes, distorted copies of images, and the loop that trains."""
