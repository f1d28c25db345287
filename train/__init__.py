"""Settings, fine-tuning, calibration, evaluation, baselines, export and model card (extra ``[train]``)."""
