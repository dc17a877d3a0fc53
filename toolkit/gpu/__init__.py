"""Devices and the few operations that have a kernel for each."""
