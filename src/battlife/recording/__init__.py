"""Runs drivers by the schedules of their protocols and keeps the frames safe."""
