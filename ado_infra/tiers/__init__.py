"""The application tiers, one module for each box of the picture."""
