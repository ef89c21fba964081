"""The cloud's own certificates: its authorities, what they issue, and what is wrong with a certificate of others."""
