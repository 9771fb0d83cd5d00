"""A platform as it runs in a cluster: read, judged, shown and drawn. `reading` alone asks."""
