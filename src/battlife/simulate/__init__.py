"""Simulated devices with encoders of their own, behind real transports."""
