"""Training: rollouts, objective, update, fine-tuning, checkpoints."""
