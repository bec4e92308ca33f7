"""HELM's view of a model: accuracy, calibration, robustness, fairness, bias, toxicity and efficiency."""
