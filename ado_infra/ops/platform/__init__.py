"""A platform as it runs in a cluster: read from its objects, judged, and drawn. Pure functions."""
