"""How the reference models of `model_repository/` were made."""
