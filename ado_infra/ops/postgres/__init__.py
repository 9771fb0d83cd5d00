"""PostgreSQL: who is the primary, and how the other one becomes it."""
