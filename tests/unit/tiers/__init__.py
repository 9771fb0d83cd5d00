"""The application tiers."""
