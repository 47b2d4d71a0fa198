"""What is sent elsewhere: series to Datadog; dashboards, monitors and objectives into Datadog and Grafana."""
