"""Training configurations, one YAML file a run."""
