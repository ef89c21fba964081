"""The secrets of a cloud: what roles declare, and the encrypted file that keeps them."""
