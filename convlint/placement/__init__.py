"""Forecasts where each op of a model would run on an Apple chip, its cost, and the line responsible."""
