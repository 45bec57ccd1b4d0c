"""What the tests that drive the real binary share: a gateway, a scripted origin, a raw client."""
