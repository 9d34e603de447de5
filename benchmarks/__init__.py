"""Load, simulated worlds and side-by-side reports."""
