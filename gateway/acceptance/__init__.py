"""Acceptance of a model version on a site's own labelled studies, and what its truth tells."""
