"""The data tier: each store offers its consumers a typed endpoint."""
