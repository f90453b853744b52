"""The `cxr_pneumonia` model: data, network, training, export, evaluation."""
