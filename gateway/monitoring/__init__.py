"""Monitoring of models in their place: counts of readings, drift from a reference, alarms."""
