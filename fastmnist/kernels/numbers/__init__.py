"""Reading numbers: where strokes may part, and the best way through the pieces."""
