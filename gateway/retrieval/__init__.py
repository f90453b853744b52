"""Stored DICOM instances, found by their UIDs and read as they were sent."""
