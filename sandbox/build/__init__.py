"""Programs and images: found, downloaded or built once, and kept in the cache."""
