"""Who may connect and what they may call: certificates, tokens, and the files they are read from."""
