"""What an impression is worth: each factor of the price is a module with its own source."""

__all__ = ["conversion", "customer", "lines", "price", "seats", "shading"]
