"""The Grafana dashboards of helm/radstream/dashboards, written by `python -m helm.dashboards`."""
