"""The doctor: checks of the installation against its settings, each naming what to change."""
