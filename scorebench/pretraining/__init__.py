"""Makes the checkpoints of the embedded model. Nothing else imports this folder."""
