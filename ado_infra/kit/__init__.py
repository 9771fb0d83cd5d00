"""Parts that any application on Kubernetes could use; nothing here knows ADO."""
